"""What the solvers of ``optimizer="auto"`` cost, and every number that decides between them.

The unit of work is one multiplication of a pass over the rows. Numbers that were measured name the
measurement; the others are bounds of rounding, of memory or of patience.
"""

import numpy as np


class Factorisation:
    """Hessians that are factorised."""

    # Parameters of one output; of all outputs of a softmax; of all outputs where a penalty that is
    # not smooth leaves proximal gradients as the only other way.
    largest, largest_joint, largest_proximal = 1536, 1024, 3072
    # Parameters of the only output, where rows are dense and the loss and the penalty smooth, so
    # that products with the Hessian are tried first. CPU time with log_loss: 5.6 s on 2500 x 1700
    # strongly correlated columns (more than 50 s by products alone), 7.9 s (6.1 s) on 4000 x 2000
    # moderately correlated ones, 0.8 s (0.9 s) on as many independent ones.
    largest_single = 3072
    # Multiplications from which a Hessian is used for several steps where that will do.
    costly = 1e7
    # Multiplications of a Hessian in the time of one of size ** 3 in its eigendecomposition: on
    # digits (1797 rows, size 650) 0.05 ns against 0.27 ns.
    as_slow = 5.0
    # Multiplications from which a sample of the rows stands for all of them, and the rows of that
    # sample, at least and per parameter. Whole fits with all rows took so much longer, of CPU time:
    # 0.9x (log_loss) and 1.7x (Poisson) on correlated 200 000 x 250, 2.4x and 2.1x on 60 000 x 500.
    sampled_from, sampled_rows, sampled_rows_per_parameter = 3e8, 8192, 20


class ConstantColumns:
    """Columns that do not vary, which solvers leave out."""

    # How many there are at least, as a number and as a share. CPU time without them, in units of
    # that with them: 0.07 on 400 x 50 and 3000 of them, 0.6 to 0.8 on 1000 x 200 and 100 (1.0 with
    # the hinge), 1.2 on 200 x 60 and 20 (ridge), 1.0 on CSR where no Hessian is made. Numbers of X
    # of which a copy may be made.
    least, share, copied = 64, 0.25, 2**26


class Compression:
    """Dense rows that are mostly zero, which solvers read as CSR."""

    # Numbers of X from which a copy pays, and the share of them that may differ from zero. CPU time
    # of whole fits of log_loss with a copy, in units of that without: 1.03 with 20 % of 6000 x 400,
    # 0.71 with 10 %, 0.64 with 5 %; 0.26 with 1 % of 6142 x 1838 word counts, 0.30 with 1.4 % of
    # as many one-hot columns; 0.8 to 1.2 with 5 % of 10 000 to 200 000 numbers.
    least, share = 1e6, 0.1


class Products:
    """Newton systems that are solved by products with the Hessian."""

    # Products that a system may take before a factorised Hessian is made, at least and at most.
    least, most = 25.0, 100.0
    # For squared errors on CSR, the products that are tried first, and how many times their time a
    # Hessian must take. CPU time on 6000 x 1500 with 25 numbers a row: 0.02 s (0.6 s without them)
    # for one output and 0.12 s (1.1 s) for five; 0.7 s (0.6 s) and 1.6 s (1.0 s) where neighbouring
    # columns are so correlated that they do not solve the system.
    tried, share = 40, 8.0
    # The share of a step that the solution may miss, for a decrement that can be trusted.
    tol = 0.2
    # The same for squared errors, whose first step goes to the minimum.
    exact = 1e-5


class LBFGSStart:
    """L-BFGS before Newton's method, where a Hessian costs as much as many passes."""

    # Multiplications of a Hessian from which gradients go first.
    hessian_work = 3e8
    # The same for that of all outputs of a softmax that has more parameters than rows, with its
    # factorisation. CPU time of whole fits in units of that without the start: 0.25 on 200 x 5000
    # (3 classes) and 0.3 to 0.6 on 100 x 1000 (5), in the span of the rows; 0.5 on 300 x 64 (10).
    # With fewer parameters than rows: 0.5 to 2.4 on 1000 x 100 (5).
    joint_work = 3e7
    # The same for that of one output that has no fewer parameters than rows. CPU time of whole fits
    # in units of that without the start: 0.65 (log_loss, huber) and 1.05 (Poisson) on 200 x 5000.
    wide_work = 5e6
    # Multiplications of a Hessian in the time of one of a pass: a matrix product, in cache.
    as_fast = 3.0
    # Pairs that are kept.
    memory = 10
    # The passes that it may take: the price of this many Hessians, and at most.
    hessians, most_passes = 4.0, 100
    # It ends once the squared gradient, at the rate of the last `steps` steps, will not fall to
    # this share of the first one within those passes. CPU time of whole fits of log_loss, in units
    # of that without the start: 0.98 on correlated 10 000 x 300 (2.3 with an end on slow decreases
    # alone), 1.3 on Toeplitz (7.1), 0.97 with three strong factors (6.8), 0.80 on independent
    # columns (0.74); 0.76 and 0.19 on correlated and independent 8 000 x 600 (1.5, 0.16).
    enough, steps = 1e-6, 4
    # As near as `tol` would have it to where Newton's method is fast. CPU time with 1e-4, which the
    # default `tol` takes for the end, in units of that with 3e-4: 0.5 on dense 1000 x 5000, 0.65 on
    # 10 000 x 300, 0.85 on 20 000 x 500 and on CSR 20 000 x 30 000 (log_loss).
    near = 1e-4


class PreconditionedLBFGS:
    """L-BFGS in the metric of one Hessian for all outputs of a softmax."""

    # The passes that Hessians of all outputs take, at least. CPU time, in units of
    # that of Newton's method: 0.25 on 3750 x 784 with ten nearly separable classes (65 passes), 0.3
    # on 3000 x 600 with five (50), 1.9 on 300 x 110 with ten (9).
    least_hessian = 30.0
    # Pairs that are kept. On 3750 x 784 with ten nearly separable classes it took 265 passes with
    # 60, 333 with 30.
    memory = 60
    # Passes with the identity, and those between two matrices, at least and in units of what a
    # matrix takes. There, 256 passes to 1e-6 of the decrease, 500 with the identity alone.
    first_passes, least_passes, passes_per_matrix = 100, 10, 8.0
    # The length below which a step is short.
    short = 0.25
    # The steps over which a rate is taken, and the share of the objective that is near enough.
    window, enough = 20, 1e-8
    # What Newton's method takes from there, in passes and Hessians. With 32 classes of leaves
    # (1907 x 80), where the objective falls slowly, a descent to the end missed 5e-6 of the
    # decrease after 670 passes, and Newton's method 1e-7 after 1200.
    newton_passes, newton_hessians = 300.0, 10.0


class SubsampleStart:
    """Newton's method on growing samples of the rows."""

    # Rows of the first sample per parameter and at least; growth from one sample to the next.
    rows_per_parameter, least_rows, growth = 10, 512, 8
    # Numbers of X in the largest sample, which is a copy.
    most_numbers = 2**22
    # The squared gradient norm, as a share of the decrease on the sample, that ends it.
    enough = 1e-2
    # Steps on one sample: where its minimum is at infinity there are no better ones.
    steps = 30


class RowSpace:
    """Fits with more columns than rows in the span of the rows."""

    # Multiplications of the QR factorisation, at most, and the columns that are too few to save.
    affordable, few = 1e9, 100
    # The same for losses that are not smooth, whose other way is a smoothing path: hinge on
    # 1000 x 5000 takes 36 s along it.
    affordable_nonsmooth = 1e10
    # The size of the smallest column, as a share of the largest, from which QR needs no pivots,
    # and a Cholesky factor of the products of rows may do. Its smallest pivot, as a share of the
    # largest product: the basis is orthonormal to the rounding over that. CPU time of whole fits on
    # 200 x 5000: log_loss 57 ms (177 by QR), squared errors 26 ms (61 by the Woodbury identity).
    even, least_pivot = 1e-3, 1e-6


class WoodburyLimits:
    """Squared errors with more columns than rows by the Woodbury identity."""

    # Rows whose products are factorised, and numbers of X of which a copy may be made.
    largest, copied = 3072, 2**26
    # Columns up to which their Hessian costs no more.
    few = 100
    # The curvature of a column and of all, in units of the penalty's, of which rounding leaves
    # enough for the others; and how many steeper columns are eliminated on their own.
    steep, total, eliminated = 1e12, 1e15, 30
    # The share of a step that the solution of a system may miss.
    tol = 1e-13


class InteriorPointLimits:
    """The interior point method for piecewise-linear losses."""

    # Numbers of X of which a standardised copy may be made.
    copied = 2**25
    # The share of the way to the nearest bound that a step takes, and the step that rounding stops.
    to_bound, stuck = 0.995, 1e-8
    # Solutions of a system over the rows that correct the last one's rounding, and the residual
    # that is enough.
    refinements, refined = 6, 1e-12
    # How many times the last one a gap may be: beyond, rounding has taken over.
    rise = 1.0
    # The share of the objective of the best constant model above which a gap is not small, and the
    # iterations for which it may rise there: for up to 4 with the hinge on 12 separable rows.
    small, risen = 1e-4, 10
    # How much smaller a gap the path reaches than `tol` asks: it tells which parameters are zero.
    further = 1e3
    # The slope of a mean loss that is none, and the share of an interval that is near its ends.
    flat, inside = 1e-12, 1e-9
    # The gap, as a share of the objective of the best constant model, that is none.
    no_gap = 1e-11
    # The least distance of a dual variable from its bounds.
    tiny = 1e-18
    # The least gap, as a share of the objective of the best constant model and of the penalty, of
    # the iterate from which a descent for the next alpha starts. Iterations on 4000 x 50, ten
    # alphas, in units of those without: hinge 0.65 (0.72 with 1e-2 of the constant alone, 0.79
    # with 1e-3), absolute_error 0.49 (0.75, 0.49), quantile 0.59 (0.76, 0.53).
    kept, kept_penalty = 1e-3, 1.0
    # A parameter is at a kink that is nearer than this share of the dual variable's distance from
    # its bounds.
    near = 1e-3
    # The diagonals that are added to a matrix that is singular but for rounding.
    dampings = (0.0, *10.0 ** np.arange(-15.0, -5.0))
    # The mean complementarity product at which a path ends.
    reached = 1e-15


class DualDescent:
    """Dual coordinate descent for piecewise-linear losses."""

    # The curvature of the intercept's proximal term, as a share of the rows' mean curvature.
    intercept = 0.1
    # Columns that make up more than this share of the rest of the rows, of which so many are
    # treated by proximal terms.
    steep, eliminated = 0.1, 30
    # Squared means of columns, in units of their variance, up to which they are centred without a
    # copy; and the share of a row's squared length that is rounding once the row is centred.
    far, rounding = 1e6, 1e-12
    # The passes of a round: at least, as a share of those before, and at most; what a sweep over
    # few rows counts at least.
    least, growth, most, sweep = 3.0, 0.5, 10.0, 0.02
    # A descent has stalled where, after this many passes, the last half of them has left more than
    # this share of the gap.
    patience, stalled = 200.0, 0.5
    # The passes of a descent, and those for each unit of `mean |x - m|^2 / (alpha n)` where rows
    # are many. To 1e-4 of the objective with standard normal columns, hinge, it took 31 to 61 on
    # 1000 x 5000 (units 5 to 5e4), 23 and 570 on 4000 x 50 (1.25, 125), 212 on 1000 x 200 (20);
    # with CSR of 20 numbers a row 19 and 68 on 20 000 x 1000 (0.5, 5), 45 on 50 000 x 5000 (2).
    # Squared hinge, where rows are fewer: 70 on 800 x 900 (1e4), 0.06 s (Newton's method 6.9 s);
    # 257 with strongly correlated 500 x 520, 0.34 s (1.8 s).
    sweeps, sweeps_per_hardness = 40.0, 10.0
    # How near to a bound, as a share of the distance of both, a dual variable stays there for the
    # next alpha. A search over 20 alphas, hinge, took 0.45 times as long on 500 x 2000, and 0.84
    # times on CSR 20 000 x 1000 with 20 numbers a row.
    at_bound = 1e-3
    # Multiplications of an exact method below which it takes no longer: n^2 d, or n d^2.
    exact = 1e7


class Multipliers:
    """The augmented Lagrangian method for piecewise-linear losses with l1 or bounds."""

    # Passes over the stored numbers, for the choice between solvers. CPU time of whole fits in
    # units of a multiplication of a pass, 1e-9 s: hinge 600 and quantile 0.9 300 on CSR
    # 20 000 x 30 000; hinge 20 (alpha=1e-2) and 150 (1e-4) on 20 000 x 500, where the interior
    # point takes 15 s and 10 s, and 60 (1e-3) on 80 000 x 500.
    passes = 600.0
    # The first width in units of the targets' spread, by what it is shrunk, and the rows on rounded
    # kinks for each coefficient from which it is. Hinge on 20 000 x 500 with alpha=1e-4: with a
    # first width of 0.25, too few rows are on kinks for Newton steps, and one minimum takes 16 s.
    first_width, shrinkage, excess = 1.0, 0.5, 1.1
    # Steps that do not halve the gap, after which the width is.
    patience = 4
    # The share of the coefficients that are not at a kink above which the interior point method
    # takes over where it can, and the rows for each parameter from which it does not:
    # absolute_error with alpha=1e-3 on 3000 x 800 ends with 95 % of them, and takes 9.1 s, that one
    # 3.6 s; hinge with alpha=1e-4 on 20 000 x 500 ends with 94 %, and takes 5.9 s, that one 10 s.
    most_free, tall = 0.5, 10.0
    # The share of the first proximal step that a minimum may leave, and its rounds at most.
    inner, rounds = 0.05, 10


class NewtonLimits:
    """Newton's method."""

    # The share of a step that the solution of a system may miss: where a bound needs it exact; far
    # from the minimum, where less is lost; and with a non-smooth penalty, where less would leave
    # the active set open.
    exact, forcing, proximal = 1e-10, 0.5, 1e-6
    # The damping of a step grows tenfold, from the first one to the largest.
    first_damping, largest_damping = 1e-3, 1e6
    # Steps below this share are damped next time, below this one at once.
    short, shortest = 0.25, 0.05
    # Shares of a step that may be far too long, which are tried and halved.
    shares = (1.0, 1.0 / 32, 1.0 / 1024, 2.0**-15)
    # The slope that is left after a step is more than rounding where it is this share of what it
    # was, and this share of the rounding of values.
    falling, certain = 0.1, 0.01
    # The share of a predicted decrease that may be left behind a step for its Hessian to be used
    # again.
    reused = 0.1
    # The share of the squared gradient that may lie in the null space of a Hessian: rows far from
    # their targets have no curvature, and yet a slope.
    null_space = 1e-4
    # The curvature of a coordinate below which proximal steps may not see its slope.
    flat = 1e-12
    # The share of the first squared gradient that is no more than rounding.
    rounding = 1e-20
    # The share of the objective below which a decrease may be rounding, which no damping helps.
    hidden = 1e-13


class ActiveSet:
    """The active-set method for quadratics with l1 and bounds."""

    # Sweeps of coordinate descent that find an active set, and the active sets that may be found.
    sweeps, rounds = 10, 200
    # Sweeps over all coordinates that are tried first where the minimum is to be exact, and their
    # multiplications: the lasso on 2000 x 50 takes 7.5 ms of CPU time with them, 10.3 without.
    patience, work = 20.0, 50_000_000
    # The coordinates of a working set, at least, and as a multiple of the free ones.
    least, growth = 64, 2
    # The damping of a solve, and the curvature below which it decreases no further.
    damping, least_damped = 1e-12, 1e-3
    # The coordinates that may become active before the others are factorised again.
    held = 100
    # Squared steps this small, as a share of the point's size, are rounding.
    rounding = 1e-26


class WorkingSetLimits:
    """Proximal Newton by coordinate descent over working sets."""

    # Passes over all columns, for the choice between solvers. CPU time with l1, in units of that of
    # Newton's method: 0.3 to 0.6 (log_loss) and 0.2 (squared_hinge) on 20 000 x 500, 2.6 to 3.4 on
    # 100 000 x 50.
    passes = 100.0
    # The same for squared errors. Shares of the lasso's time by coordinate descent on one Gram
    # matrix: 0.25 to 0.5 on 20 000 x 500, 0.5 to 1.0 on 2000 x 500, 0.6 to 1.4 on 5000 x 200, and
    # 1.1 to 2.7 on 100 000 x 50; 0.7 to 2.2 on correlated 10 000 x 300.
    quadratic_passes = 60.0
    # The coordinates at a kink that join a working set, at least.
    least = 128
    # The share of the squared proximal step that a working set may leave behind, and of the last
    # decrease that the next quadratic may.
    inner, forcing = 1e-3, 1e-2
    # The error of the active-set method, as a share of the way.
    exact = 1e-6
    # Columns of a Gram matrix at most, and the sweeps in the time of one, for each of its columns:
    # if coordinate descent takes longer, an active-set method does the rest. CPU time of log_loss
    # with l1 at alpha=1e-4 on 20 000 x 500: 3.5 s, 7.3 s without.
    gram, sweeps_per_column = 1536, 0.03
    # The same for sparse columns, in units of a factorisation, of which only few rows are read; and
    # the share of the rows with a curvature up to which a copy of those is.
    sweeps_per_factorisation, curved = 0.1, 0.25
    # Newton steps on a working set, cycles over the outputs of a softmax, and sweeps of a step.
    steps, cycles, sweeps = 20, 50, 5000
    # Steps below this share are not taken, and those below that one raise the damping; a rise that
    # is this share of the value is rounding.
    shortest, short, rounding = 1e-4, 0.25, 1e-15
    # The share of the value that a squared step is where only rounding moves an intercept.
    nothing = 1e-26
    # The damping of the first step, at least, and at most, where the curvature is about 1. There is
    # always one, for rows that pull and have no curvature.
    first_damping, least_damping, largest_damping = 1e-3, 1e-9, 1e6


class GroupLimits:
    """Block coordinate descent over groups of columns."""

    # Sweeps before a Newton step on the groups that are not zero: at least, and in the time of its
    # Gram matrix and of its factorisations. CPU time on correlated columns, and without Newton
    # steps: 1.1 s (2.2 s) on 20 000 x 300; 0.6 s (0.7 s) on 2000 x 1000, 1.3 s with 0.1 `per_cube`.
    least_sweeps, sweeps_per_column, per_cube = 5, 0.05, 1.0
    # Columns of that Gram matrix at most, and the sweeps that are taken where there are more.
    gram, all_sweeps = 1536, 5000
    # Newton steps in a row, the shortest share of one, and how often sweeps follow them.
    newton_steps, shortest, rounds = 20, 1e-3, 20
    # The share of a group's largest curvature that is none.
    flat = 1e-14


class Gap:
    """Duality gaps."""

    # Multiplications for a Hessian up to which a fit tells its gap unasked, and what a Newton step
    # takes in addition to its multiplications.
    affordable, step = 3e8, 1e6
    # Products with a Hessian that is not factorised, for a step.
    products = 100
    # Multiplications that take as long as a proximal Newton step, per cube of the parameters: 9 ms
    # for 41, 170 ms for 121 (squared_hinge, 25 rows, alpha=1e-6, the elastic net).
    proximal_step = 100.0
    # Newton steps that may lead to better dual variables.
    steps = 50
    # A bound is good enough where this share of the gap, or of the objective, lies below the
    # minimum.
    enough, small = 0.05, 1e-6
    # A gap that is this share of the objective is that of a minimum: no Newton step makes it
    # smaller.
    exact = 1e-12
    # A predicted decrease above this share of the objective is one from afar.
    far = 0.1
    # A gap that is this share of the objective is hardly more than rounding.
    negligible = 1e-13
    # Sums that must be zero may be this share of their terms: rounding and inexact solves.
    balanced = 1e-7
    # What dual variables may be shrunk by to get from just outside the conjugate's domain into it.
    shrunk = (1.0, 1.0 - 1e-9, 1.0 - 1e-7)
    # A penalty's curvature, where that of all is 1, from which nothing follows: in units of targets
    # of 1e-140 or 1e140, say. A bound without it is as true.
    faint = np.finfo(float).eps ** 2
    # The rounding of a sum that a bound allows for, as a share of its terms.
    rounding = 32 * np.finfo(float).eps
    # Parameters whose rounding is bounded by the inverse Hessian where their penalty is too small.
    few_faint = 16
    # The same for the sums of a gradient, whose terms' rounding is as often above as below zero.
    rounded = 2 * np.finfo(float).eps


class GapStopping:
    """Duality gaps that end a descent by update steps."""

    # The gap at which a run stops, in units of tol times the possible decrease: 0.5 % by default.
    # What is missing then is 0.1 to 0.5 %, as where the objective has stopped falling; with 100,
    # SGD on text takes 23 epochs instead of 26, and may miss 0.9 %.
    share = 50.0
    # Epochs that the noise of steps takes to halve, at least: a gap is looked at, which takes a
    # pass, when it may be small enough. On text it takes 2 to 3.5.
    epochs_to_halve = 1.5


class Auto:
    """How the solvers follow one another."""

    # As near as `tol` would have it to the minimum of a smoothed loss.
    smoothed_tol = 1e-4
    # The gap that may be left, in units of what `tol` says of the gradient, and the share of the
    # possible decrease that is no plateau.
    left, no_plateau = 100.0, 1e-9


class LeaveOneOut:
    """Leave-one-out losses along values of alpha."""

    # Multiplications of a Hessian up to which each alpha has its own; of leverages up to which all
    # rows are taken; of those of a sample, and its least rows, in general and for a softmax, whose
    # rows tell more. On adult (4 000 x 104, log_loss) 1000 rows that are drawn evenly miss the
    # excess of rare categories, which those drawn by their distance from the mean tell to a few per
    # cent. On 7 000 x 120 random columns the excess is 7 % off with 1024 rows and 2 % with 2048.
    own_hessian, all_rows, sample, least_rows, least_of_softmax = 2e7, 1e8, 1e7, 2048, 1024
    # Multiplications of the fits without a row that take several steps, how many each takes at
    # most, and the share of the loss that may be uncertain without them. The loss on 427 rows of
    # breast_cancer at the best alpha is 5 % too low with one step for all, and 0.1 % and 2e-5 where
    # the 14 (4e6) and 35 (1e7) rows with most excess take 20; four are too few for those at small
    # alphas, which they leave anywhere. On ten tables one step is 0.01 to 0.05 % off where 0.5 %
    # are uncertain, and a few rows of many that are make it no better.
    refined, left_out_steps, certain = 1e7, 20, 5e-3
    # Multiplications of a softmax's Hessian up to which each alpha has its own, and all rows, and
    # the most rows for each parameter there. With a Hessian and a sample from before, the losses on
    # digits (1347 x 64, 2 rows for each) fall to 1e-4 at alphas below 1e-4, where they rise to
    # 0.17: the alpha is 6e-8 instead of 1e-2, and the loss of test rows 0.52 instead of 0.13, in
    # the same time. On letter (10 000 x 16, 22 rows for each) the alpha is the same either way, and
    # all Hessians take 7 s instead of 1.
    own_softmax, few_rows = 2e9, 20.0
    # Parameters of one output whose Hessian stands for a part of that of a softmax: as many as for
    # Newton's method without `PreconditionedLBFGS`; the share of the last step that the solution of
    # its system may miss; and the excess that is believed, in units of the loss of the fit. On raw
    # leaves (1430 x 80, 32 classes) alpha="auto" takes 7 s of CPU time, and 41 s with five folds.
    largest_output, last_step, believed = 360, 0.1, 10.0
    # Multiplications of a QR factorisation for fewer rows than columns.
    reduced = 1e10
    # The decrement at which a descent ends, as a share of the decrease from the best constant
    # model, before a last step that takes no pass; the share of the objective that is no decrease;
    # and steps.
    tol, least, steps = 1e-5, 1e-6, 50
    # Where the path begins: at 41 % of the degrees of freedom, or at 86 % where there are at least
    # `tall` rows for each of them; and from one alpha to the next at first. Larger alphas follow
    # where the first one is the best.
    first, first_of_tall, tall, apart_at_first = 6, 8, 50.0, 2
    # Two alphas in a row whose loss is above the least one by a share of its decrease end the path,
    # or one that is far above it. A decrease is clear from a share of the loss of the best constant
    # model.
    rising, rise, far, clear = 2, 0.005, 0.2, 0.05
    # The share of the decrease, or of so much of the objective, by which the loss changes where
    # alphas make no difference: two such that are not the best ones end the path.
    flat, flat_least = 1e-3, 1e-2
    # How many alphas are interpolated at most, by how much, as a share of the decrease, the loss
    # must be expected to fall there, how near to another one they may be, in steps between the
    # alphas that are tried, and how near to the neighbours, as a share of the way.
    interpolated, gain, near, inside = 4, 3e-4, 0.3, 0.6
    # The ratio of the best alpha and its neighbour from which alphas between them are tried, and
    # how many at most.
    apart, between = 4.0, 3
    # How often a path of squared errors continues to smaller alphas because the loss has fallen by
    # this share to its last one, and how far: columns that are nearly collinear have their best
    # alphas there. Other losses do not: where classes can be separated, approximate losses fall on.
    extensions, extension, falling = 6, 1e-2, 1e-3
    # The eigenvalue of a Gram matrix, in units of its diagonal, that is rounding; the smallest
    # column as a share of the largest from which its order does not matter; and the residual of
    # systems that are solved.
    no_curvature, even, precise = 1e-13, 1e-6, 1e-9
    # Rows times columns up to which squared errors are evaluated at all alphas. Else at three to
    # ten of 20: 50 000 x 50 from 59 to 36 ms, 10 000 x 26 from 12 to 8 ms.
    all_alphas = 2e4


class Work:
    """What whole descents take."""

    # Passes of first-order methods on raw tables: 150 to 2 000 to 1e-6 of the minimum with L-BFGS
    # in the diagonal metric (brca 552, cells 1 771, leaf_flavia 2 060).
    first_order_passes = 2000
    # Steps of Newton's method, in general and where the Hessian is the same everywhere, and the
    # products with a Hessian that is not factorised for each.
    newton_steps, exact_steps, products = 20, 2, 50
    # Iterations of the interior point method.
    interior_point_steps = 20

    @staticmethod
    def of_pass(objective):
        """Return the multiplications of a pass for the value and the gradient."""
        problem = objective.problem
        return 4.0 * problem.n * objective.shape[0] * (
            problem.width if problem.is_sparse else objective.shape[1]
        )  # fmt: skip
