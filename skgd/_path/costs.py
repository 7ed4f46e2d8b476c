"""Every number that decides how paths are walked.

Numbers that were measured name the measurement; the others are bounds of rounding, of memory or of
patience.
"""


class GramLimits:
    """Paths of squared errors on Gram matrices."""

    # Columns up to which the Gram matrix of all of them is taken.
    largest = 1536
    # Alphas from which l2 is worth an eigendecomposition: it costs as much as 12 factorisations.
    few_alphas = 12
    # The largest scale of a column in units of the smallest from which eigenvalues lose digits.
    uneven = 1e4
    # The squared gradient of a solution, as a share of that at 0, which is rounding.
    solved = 1e-24
    # The last sweep's squared move as a share of the solution's square. On 2000 x 500, 100 alphas,
    # R^2 was off by 2e-7 with 1e-12 (0.13 s), 2e-9 with 1e-16 (0.22 s), 2e-11 with 1e-20 (0.26 s).
    tol = 1e-18
    # The same for a step of Newton's method, as a share of tol.
    newton = 1e-2
    # Sweeps that are always taken before a solve on the active set, and how their number grows. On
    # 200 x 5000 the path takes 1.2 times as long as with a tol of 1e-8, without solves 4.4 times.
    patience, more_patience = 20.0, 2.0
    # The damping of a solve as a share of the diagonal, and the solves at one alpha before another
    # method takes over.
    damping, solves = 1e-12, 10
    # Multiplications between two looks at interrupts: 20 ms.
    work = 50_000_000


class LassoPathLimits:
    """Paths of squared errors with l1 on few of many columns."""

    # Dense columns of a working set, and numbers of those of all folds that are kept: 512 MB.
    columns, kept = 3072, 2**26
    # Columns that join a working set at once, at least.
    least = 128
    # The last sweep's squared move as a share of the solution's square. R^2 was off by 5e-9 on
    # 200 x 5000 (5e-8 with 1e-14). Where sweeps go over the columns themselves, on CSR
    # 20 000 x 30 000 with 8 700 coefficients, by 4e-9 (3e-10 with 1e-16, in 1.08 times the time).
    tol, tol_sparse = 1e-16, 1e-14
    # What the solution's square is at least, as a share of the target's.
    least_size = 1e-6
    # Sweeps over sparse columns between two looks at interrupts, and how often; the rounds after
    # which the active set is solved on a Gram matrix. Columns of 60 rows took 5000 sweeps and more.
    sweeps, rounds, patience = 50, 100, 4
    # The ratio of two alphas below which slow sweeps give way to steps between the two, and that of
    # such steps. On CSR 300 x 2000 of density .02 / .05 / .2 two alphas took 0.27 / 0.35 / 0.63 s
    # with steps of 0.5, 0.35 / 0.48 / 0.99 s with 0.75 and 3.5 / 4.1 / 6.6 s without any.
    far, step = 0.4, 0.5
    # The share by which a slope may be above l1, which is rounding.
    slack = 1e-9


class NewtonPathLimits:
    """Paths of smooth losses by Newton's method."""

    # What `tol` is multiplied with. On 2000 x 500 the scores of log_loss were off by 5e-4 with 1
    # and by 2e-5 with 0.1, which took 1.4 times as long.
    share = 0.1
    # The decrement as a share of the last one from which the Hessian is computed again: where pairs
    # correct it, and for proximal steps, whose predicted decrease is too small with another one.
    slow, slow_proximal = 0.5, 0.1
    # The squared move of the last sweep on a quadratic model, as a share of the solution's square.
    model_tol = 1e-12
    # The curvature along a step, as a share of what the matrix says, from which it is learned.
    curved = 1e-8
    # The rounding of a Hessian in single precision, as a share of the penalty's least curvature.
    single = 0.1
    # Steps at one alpha. Where more are needed the minimum may be at infinity.
    steps = 60
