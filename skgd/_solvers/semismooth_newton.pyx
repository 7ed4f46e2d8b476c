# cython: language_level=3, cdivision=True
"""A semismooth Newton method on a quadratic with l1, for the warm starts of a path.

Minimises ``x' H x / 2 - b' x + sum_j l1_j |x_j| + sum_j ridge_j x_j^2 / 2`` where each bound is 0
or infinite. Let A be the coordinates that are not 0 and s their signs. A step solves

    (H_AA + D_A) x_A = b_A - l1_A s_A,        D = diag(ridge)

Coordinates that come out with the other sign leave A. Those whose derivative at 0 is larger than l1
enter it with the sign that it asks for. A minimum is reached where A stays and the step is small.
This is the primal-dual active set method: it has no line search, and takes one or two steps from a
start near the minimum. Where A keeps changing, each step ends at the first coordinate that comes
to 0, and one coordinate at a time enters, at the minimum without it: no A comes twice. Starts that
are far from the minimum, and systems that are nearly singular, fail.

A Cholesky factor of the system is kept from one alpha to the next: a coordinate that enters is a
row at its end, one that leaves is rotated out. The ridge may have changed since. The factor is
then that of a system near by, and a step is one of iterative refinement; where these are slow, the
factor is computed again. Gradients are computed afresh at each point, so that no rounding adds up.

References
----------
Hintermueller, Ito and Kunisch, The primal-dual active set strategy as a semismooth Newton method,
2003.
Griesse and Lorenz, A semismooth Newton method for Tikhonov functionals with sparsity constraints,
2008.
Osborne, Presnell and Turlach, A new approach to variable selection in least squares problems, 2000.
"""

import numpy as np

from libc.math cimport INFINITY, hypot, sqrt
from libc.string cimport memmove

from skgd._engine.arrays cimport floats, writeable_floats, writeable_integers

cdef extern from "../_engine/vector.h" nogil:
    void skgd_axpy(Py_ssize_t n, double a, const double* x, double* y)

cdef extern from "../_engine/columns.h" nogil:
    double skgd_column_dot(Py_ssize_t n, const double* a, const double* r)
    void skgd_four_column_dots(Py_ssize_t n, const double** x, const double* r, double* out)
    void skgd_add_four_columns(Py_ssize_t n, const double* a, const double** x, double* y)

# Why a call returned.
cdef enum:
    GOES_ON, DONE_, FAILED_

DONE, BUSY, FAILED = DONE_, GOES_ON, FAILED_
# The square of a pivot as a share of the diagonal, below which a column is a sum of the others.
cdef double PIVOT = 1e-12
# By how much a derivative may exceed l1, as a share of it, which is rounding.
cdef double SLACK = 1e-13
# The squared residual of the system, as a share of x squared, which is rounding.
cdef double ROUNDING = 1e-27
# Steps that change the active set before care is taken, and all steps; coordinates that enter at
# once, at least, where the start is not near the minimum.
cdef int QUICK = 5, STEPS = 120
cdef Py_ssize_t FEW = 32
# The squared residual, as a share of the squared pull on a coordinate, with which that may enter.
cdef double STILL = 1e-4
# The squared step as a share of the last one from which the factor is computed again. Elastic net
# on 2000 x 500, 100 alphas: 351 steps and 6 factors with 1e-3, 417 and 2 with 1e-2.
cdef double SLOW = 1e-3
# Multiplications in the time of a rotation.
cdef Py_ssize_t ROTATION = 8


cdef inline double sign_of(double x) noexcept nogil:
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0


cdef inline const double* row_of(const double* L, Py_ssize_t i) noexcept nogil:
    return L + i * (i + 1) // 2


cdef void substitute(const double* L, Py_ssize_t m, double* y) noexcept nogil:
    """Solve ``L z = y`` in place."""
    cdef Py_ssize_t i = 0, k, r
    cdef const double* rows[4]
    cdef double[4] sums
    while i < m:
        if i + 4 <= m:
            for k in range(4):
                rows[k] = row_of(L, i + k)
            skgd_four_column_dots(i, rows, y, sums)
        for k in range(min(4, m - i)):
            row = row_of(L, i + k)
            if i + 4 > m:
                sums[k] = skgd_column_dot(i, row, y)
            for r in range(i, i + k):
                sums[k] += row[r] * y[r]
            y[i + k] = (y[i + k] - sums[k]) / row[i + k]
        i += 4


cdef void substitute_back(const double* L, Py_ssize_t m, double* y) noexcept nogil:
    """Solve ``L' z = y`` in place."""
    cdef Py_ssize_t i = m, k, r
    cdef const double* rows[4]
    cdef const double* row
    cdef double[4] at
    while i > 0:
        if i < 4:
            i -= 1
            row = row_of(L, i)
            y[i] /= row[i]
            skgd_axpy(i, -y[i], row, y)
            continue
        i -= 4
        for k in range(3, -1, -1):
            rows[k] = row_of(L, i + k)
            y[i + k] /= rows[k][i + k]
            at[k] = -y[i + k]
            for r in range(i, i + k):
                y[r] += at[k] * rows[k][r]
        skgd_add_four_columns(i, at, rows, y)


cdef void rotate_out(double* L, Py_ssize_t i, Py_ssize_t m, double* c, double* s) noexcept nogil:
    """Take row i out of m rows: those below are rotated to be triangular again.

    c and s have room for m numbers each.
    """
    cdef Py_ssize_t r, k
    cdef double* row
    cdef double size, before
    for r in range(i + 1, m):
        row = L + r * (r + 1) // 2
        for k in range(i, r - 1):
            before = row[k]
            row[k] = c[k] * before + s[k] * row[k + 1]
            row[k + 1] = c[k] * row[k + 1] - s[k] * before
        size = hypot(row[r - 1], row[r])
        c[r - 1], s[r - 1] = row[r - 1] / size, row[r] / size
        row[r - 1] = size
        memmove(row - r, row, r * sizeof(double))


cdef class SemismoothNewton:
    """The active set of a path and the factor of its system, for one quadratic.

    Coordinates may be added to the quadratic as long as the others keep their numbers.
    """

    cdef object given, vectors, numbers, factor
    # The coordinates, those in the active set, and those whose row of the factor is known.
    cdef Py_ssize_t p, m, done
    cdef const double* H
    cdef const double* b
    cdef const double* l1
    cdef const double* ridge
    cdef const double* lower
    cdef const double* upper
    cdef double* x
    cdef double* g
    cdef double* signs
    cdef double* step
    cdef double* rotations
    cdef double* L
    cdef Py_ssize_t* members
    cdef double tol, last
    cdef int steps, changes
    cdef bint is_fresh

    def __init__(self):
        self.p, self.m, self.done = 0, 0, 0
        self.numbers, self.factor = np.empty(0, dtype=np.intp), np.empty(0)

    def start(self, hessian, linear, l1, ridge, lower, upper, x, *, tol):
        """Begin at a point.

        Parameters
        ----------
        hessian : array of shape (p, p)
            H, symmetric, with those of earlier calls in its first rows and columns.
        linear, l1, ridge : array of shape (p,)
        lower, upper : array of shape (p,)
            Each 0 or infinite.
        x : array of shape (p,)
            Within the bounds; changed in place by `run`.
        tol : float
            The last step's square as a share of that of x, in the norm of the diagonal.
        """
        cdef Py_ssize_t p = len(x), j, i
        if p < self.p:
            raise ValueError(f"got {p} coordinates: pass the {self.p} of the last call as well.")
        self.H, self.b = floats(hessian, (p, p)), floats(linear, (p,))
        self.l1, self.ridge = floats(l1, (p,)), floats(ridge, (p,))
        self.lower, self.upper = floats(lower, (p,)), floats(upper, (p,))
        self.x = writeable_floats(x, (p,))
        self.given = hessian, linear, l1, ridge, lower, upper, x
        if p > self.p:
            self.make_room(p)
        self.tol, self.last, self.is_fresh, self.steps, self.changes = tol, 0.0, False, 0, 0
        for j in range(p):
            self.signs[j] = 0.0
        for i in range(self.m):
            self.signs[self.members[i]] = sign_of(self.x[self.members[i]])
        for j in range(p):
            if self.x[j] != 0.0 and self.signs[j] == 0.0:
                self.enter(j, sign_of(self.x[j]))

    cdef int make_room(self, Py_ssize_t p) except -1:
        cdef Py_ssize_t used = self.done * (self.done + 1) // 2
        numbers, factor = np.empty(p, dtype=np.intp), self.factor
        numbers[:self.m] = self.numbers[:self.m]
        if len(factor) < p * (p + 1) // 2:
            factor = np.empty(max(p * (p + 1) // 2, 2 * len(factor)))
            factor[:used] = self.factor[:used]
        vectors = np.empty((5, p))
        self.g, self.signs = writeable_floats(vectors[0], (p,)), writeable_floats(vectors[1], (p,))
        self.step = writeable_floats(vectors[2], (p,))
        self.rotations = writeable_floats(vectors[3:].ravel(), (2 * p,))
        self.members = writeable_integers(numbers, (p,))
        self.L = writeable_floats(factor, (len(factor),))
        self.p, self.vectors, self.numbers, self.factor = p, vectors, numbers, factor
        return 0

    def run(self, work):
        """Take steps from where the last call ended.

        Parameters
        ----------
        work : int
            Multiplications after which to return.

        Returns
        -------
        reason : int
            `DONE`; `BUSY`; or `FAILED`, and then x is of no use.
        """
        cdef Py_ssize_t left = work
        cdef int reason = GOES_ON
        if not self.p:
            raise ValueError("got no point: call start first.")
        with nogil:
            while reason == GOES_ON and left > 0:
                if self.leave(&left) and self.factorise(&left):
                    reason = self.move(&left)
        return reason

    cdef void enter(self, Py_ssize_t j, double sign) noexcept nogil:
        self.members[self.m] = j
        self.signs[j] = sign
        self.m += 1

    cdef bint leave(self, Py_ssize_t* left) noexcept nogil:
        """Take those without a sign out of the active set; return whether there was time for it."""
        cdef Py_ssize_t i, n_left = 0
        for i in range(self.m):
            n_left += self.signs[self.members[i]] == 0.0
        if n_left * 20 > self.m:
            for i in range(self.m):
                if self.signs[self.members[i]] == 0.0:
                    self.done = i if i < self.done else self.done
        for i in range(self.m - 1, -1, -1):
            if self.signs[self.members[i]] == 0.0:
                if left[0] <= 0:
                    return False
                self.take_out(i, left)
        return True

    cdef void take_out(self, Py_ssize_t i, Py_ssize_t* left) noexcept nogil:
        """Take a row out of the system."""
        if i < self.done:
            rotate_out(self.L, i, self.done, self.rotations, self.rotations + self.p)
            left[0] -= ROTATION * (self.done - i) * (self.done - i) // 2
            self.done -= 1
        memmove(self.members + i, self.members + i + 1, (self.m - i - 1) * sizeof(Py_ssize_t))
        self.m -= 1

    cdef bint factorise(self, Py_ssize_t* left) noexcept nogil:
        """Factorise the rows that are new, one at least; return whether there was time for all."""
        cdef Py_ssize_t r, k, j
        cdef double* row
        cdef const double* of_j
        cdef double pivot, diagonal
        while self.done < self.m:
            r, j = self.done, self.members[self.done]
            row, of_j = self.L + r * (r + 1) // 2, self.H + j * self.p
            for k in range(r):
                row[k] = of_j[self.members[k]]
            substitute(self.L, r, row)
            diagonal = of_j[j] + self.ridge[j]
            pivot = diagonal - skgd_column_dot(r, row, row)
            left[0] -= r * (r + 1) // 2 + r + 1
            if pivot > PIVOT * diagonal:
                row[r] = sqrt(pivot)
                self.done += 1
            else:
                # The column is a sum of the others.
                self.x[j] = self.signs[j] = 0.0
                self.m -= 1
                memmove(self.members + r, self.members + r + 1, (self.m - r) * sizeof(Py_ssize_t))
            if left[0] <= 0:
                break
        return self.done == self.m

    cdef int move(self, Py_ssize_t* left) noexcept nogil:
        """Take a step; return whether it was the last one."""
        cdef Py_ssize_t before = self.m, n_new, i
        cdef double moved = 0.0
        cdef bint is_careful = self.changes >= QUICK, tried, flipped
        self.take_gradient(left)
        n_new = self.let_in(self.squared_size(), is_careful)
        tried = self.m > before
        if not is_careful and n_new > FEW and n_new > before:
            return FAILED_
        if tried and not self.factorise(left):
            # Those without a row are found again.
            for i in range(self.done, self.m):
                self.signs[self.members[i]] = 0.0
            self.m = self.done
            return GOES_ON
        if not n_new and self.residual() <= ROUNDING * self.squared_size():
            return DONE_
        self.solve(left)
        flipped = self.add_step(&moved, is_careful)
        self.steps += 1
        if self.steps == STEPS or not moved < INFINITY:
            return FAILED_
        if flipped or self.m > before:
            self.last, self.changes = 0.0, self.changes + 1
        elif moved * self.rate(moved) <= self.tol * self.squared_size():
            # One that the factor has no room for would come again.
            return FAILED_ if tried else GOES_ON if n_new else DONE_
        else:
            if self.last > 0.0 and moved > SLOW * self.last:
                if self.is_fresh:
                    return FAILED_
                self.done, self.is_fresh, moved = 0, True, 0.0
            self.last = moved
        return GOES_ON

    cdef double rate(self, double moved) noexcept nogil:
        """Return a bound of the next step's square as a share of this one's."""
        return 4.0 * moved / self.last if 0.0 < 4.0 * moved < self.last else 1.0

    cdef void take_gradient(self, Py_ssize_t* left) noexcept nogil:
        cdef Py_ssize_t i, j, k
        cdef double[4] at
        cdef const double* rows[4]
        for j in range(self.p):
            self.g[j] = -self.b[j]
        for i in range(0, self.m - 3, 4):
            for k in range(4):
                at[k] = self.x[self.members[i + k]]
                rows[k] = self.H + self.members[i + k] * self.p
            skgd_add_four_columns(self.p, at, rows, self.g)
        for i in range(self.m - self.m % 4, self.m):
            j = self.members[i]
            skgd_axpy(self.p, self.x[j], self.H + j * self.p, self.g)
        left[0] -= self.p * self.m

    cdef double squared_size(self) noexcept nogil:
        """Return the square of x in the norm of the diagonal."""
        cdef Py_ssize_t i, j
        cdef double size = 0.0
        for i in range(self.m):
            j = self.members[i]
            size += self.curvature(j) * self.x[j] * self.x[j]
        return size

    cdef inline double curvature(self, Py_ssize_t j) noexcept nogil:
        return self.H[j * self.p + j] + self.ridge[j]

    cdef Py_ssize_t let_in(self, double size, bint is_careful) noexcept nogil:
        """Find the coordinates that would leave 0; return how many they are.

        They enter; or, with care, the one that is pulled most does, at a minimum without it.
        """
        cdef Py_ssize_t j, count = 0, first = -1
        cdef double excess, most = 0.0, enough = self.tol * size / self.p
        for j in range(self.p):
            if self.signs[j] != 0.0 or not self.curvature(j) > 0.0:
                continue
            excess = (self.g[j] if self.g[j] > 0.0 else -self.g[j]) - self.l1[j]
            if not excess > SLACK * self.l1[j] or excess * excess <= enough * self.curvature(j):
                continue
            if (self.upper[j] if self.g[j] < 0.0 else -self.lower[j]) == 0.0:
                continue
            count += 1
            excess *= excess / self.curvature(j)
            if not is_careful:
                self.enter(j, -sign_of(self.g[j]))
            elif excess > most:
                first, most = j, excess
        if first >= 0 and self.residual() <= STILL * most:
            self.enter(first, -sign_of(self.g[first]))
        return count

    cdef double residual(self) noexcept nogil:
        """Make the right-hand side of the system of the step; return its squared size."""
        cdef Py_ssize_t i, j
        cdef double total = 0.0
        for i in range(self.m):
            j = self.members[i]
            self.step[i] = -(self.g[j] + self.ridge[j] * self.x[j] + self.l1[j] * self.signs[j])
            total += self.step[i] * self.step[i] / self.curvature(j)
        return total

    cdef void solve(self, Py_ssize_t* left) noexcept nogil:
        """Solve the system of the step."""
        self.residual()
        substitute(self.L, self.m, self.step)
        substitute_back(self.L, self.m, self.step)
        left[0] -= self.m * (self.m + 1)

    cdef bint add_step(self, double* moved, bint is_careful) noexcept nogil:
        """Take the step; return whether coordinates have come to 0, which are to leave.

        With care, it ends where the first one does.
        """
        cdef Py_ssize_t i, j
        cdef bint flipped = False
        cdef double share = 1.0
        if is_careful:
            for i in range(self.m):
                j = self.members[i]
                if self.crosses(j, self.x[j] + share * self.step[i]):
                    share = -self.x[j] / self.step[i]
        for i in range(self.m):
            j = self.members[i]
            moved[0] += self.curvature(j) * self.step[i] * self.step[i]
            self.x[j] += share * self.step[i]
            if self.crosses(j, self.x[j]):
                self.x[j] = self.signs[j] = 0.0
                flipped = True
        return flipped

    cdef inline bint crosses(self, Py_ssize_t j, double x) noexcept nogil:
        """Tell whether a coordinate would come to 0, or beyond, and has a kink or a bound there."""
        cdef double sign = self.signs[j]
        if x * sign > 0.0:
            return False
        return self.l1[j] > 0.0 or (self.lower[j] if sign > 0.0 else self.upper[j]) == 0.0
