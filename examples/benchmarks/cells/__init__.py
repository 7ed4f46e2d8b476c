"""The cells of the table by which solvers are judged, a module for each kind."""

from cells import nonsmooth, piecewise_linear, smooth

CELLS = [*smooth.CELLS, *piecewise_linear.CELLS, *nonsmooth.CELLS]
