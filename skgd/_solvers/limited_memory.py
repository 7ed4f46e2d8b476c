"""Quasi-Newton steps from a limited memory, by the compact representation of L-BFGS.

With the last pairs of steps and changes of the gradient as the columns of S and Y, and the scale
``gamma = s'y / y'y`` of the last pair::

    H g = gamma g + S R^-T ((D + gamma Y'Y) R^-1 S'g - gamma Y'g) - gamma Y R^-1 S'g

where R is the upper triangle of ``S'Y`` and D its diagonal. The pairs lie in one array, which is
read twice for a step: for the products ``S'g`` and ``Y'g``, and for their combination. The
recursion of two loops reads it four times. Products of pairs follow from those with gradients,
``S'y = S'g_new - S'g_old``.

References
----------
Byrd, Nocedal and Schnabel, Representations of quasi-Newton matrices and their use in limited memory
methods, 1994.
Nocedal and Wright, Numerical Optimization, 2006, chapter 7.
"""

import numpy as np
from scipy.linalg import blas


class LimitedMemory:
    """The last pairs of steps and changes of the gradient.

    Parameters
    ----------
    most : int
        The pairs that are kept.
    first_scale : float
        The scale where there is no pair yet.
    """

    def __init__(self, most, first_scale):
        self.most, self.scale = most, first_scale
        # Which pairs lie where, from the oldest on; steps and changes lie in turn.
        self.order, self.pairs, self.products = [], None, np.empty(0)
        self.steps_by_changes, self.changes = np.zeros((2, most, most))

    def add(self, step, old, new):
        """Take in a step and the gradients before and behind it, of which the old one is known.

        The old one is that of which the last direction was made.
        """
        if self.pairs is None:
            self.pairs = np.empty((2 * self.most, len(step)))
        is_full = len(self.order) == self.most
        place = self.order[0] if is_full else len(self.order)
        change = np.subtract(new, old, out=self.pairs[2 * place + 1])
        curvature, square = float(step @ change), float(change @ change)
        if not curvature > 0.0:
            self.forget()
            return
        self.pairs[2 * place] = step
        self.order = [*self.order[is_full:], place]
        before, self.scale = self.products, curvature / square
        self.products = self.pairs[:2 * len(self.order)] @ new
        known = slice(None, len(before))
        differences = (self.products[known] - before).reshape(-1, 2)
        self.steps_by_changes[:len(differences), place] = differences[:, 0]
        self.changes[:len(differences), place] = self.changes[place, :len(differences)] = (
            differences[:, 1]
        )
        self.steps_by_changes[place, place], self.changes[place, place] = curvature, square

    def forget(self):
        """Forget all pairs."""
        self.order, self.products = [], np.empty(0)

    def direction(self, gradient):
        """Return the direction of descent at the gradient that was added last."""
        if not self.order:
            return -self.scale * gradient
        order, scale = np.array(self.order), self.scale
        pairs = np.ix_(order, order)
        along, across = self.products.reshape(-1, 2)[order].T
        upper = self.steps_by_changes[pairs]
        ahead = blas.dtrsv(upper, along)
        middle = upper.diagonal() * ahead + scale * (self.changes[pairs] @ ahead - across)
        factors = np.empty((len(order), 2))
        factors[order, 0] = -blas.dtrsv(upper, middle, trans=1)
        factors[order, 1] = scale * ahead
        result = factors.ravel() @ self.pairs[:2 * len(order)]
        result -= scale * gradient
        return result
