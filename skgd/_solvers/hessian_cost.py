"""What a factorised Hessian costs: its size, its rows, its multiplications, and that in passes."""

import numpy as np

from skgd._solvers.costs import Factorisation, LBFGSStart, Work


def factorised_size(objective):
    """Return the number of parameters of the Hessians that are factorised, and how many there are.

    That of all outputs together for a softmax, if it is small enough; (0, 0) where there are too
    many parameters.
    """
    k, p = objective.shape
    largest = (
        Factorisation.largest_proximal if objective.proximal else Factorisation.largest_joint
    )
    if k > 1 and objective.problem.is_multiclass and k * p <= largest:
        return k * p, 1
    return (p, k) if p <= _largest_block(objective) else (0, 0)


def _largest_block(objective):
    """Return how many parameters one output may have whose Hessian is factorised."""
    tries_products = not objective.proximal and not objective.loss.constant_hessian
    if tries_products and objective.shape[0] == 1 and not objective.problem.is_sparse:
        return Factorisation.largest_single
    return Factorisation.largest


def sampled_rows(objective):
    """Return the rows of a sample that stands for all in a factorised Hessian; None for all."""
    size, blocks = factorised_size(objective)
    n, enough = objective.problem.n, _enough_rows(size)
    cheap = n * size**2 * blocks <= Factorisation.sampled_from
    if objective.loss.constant_hessian or cheap or n <= enough:
        return None
    return np.sort(np.random.default_rng(0).choice(n, enough, replace=False))


def _enough_rows(size):
    return max(Factorisation.sampled_rows, Factorisation.sampled_rows_per_parameter * size)


def hessian_work(objective):
    """Return the multiplications for a factorised Hessian; inf where there are too many parameters.

    It is made of a sample of many rows.
    """
    size, blocks = factorised_size(objective)
    if not size:
        return np.inf
    n, squares = objective.problem.n, float(size) ** 2 * blocks
    is_sampled = not objective.loss.constant_hessian and n * squares > Factorisation.sampled_from
    return (min(n, _enough_rows(size)) if is_sampled else n) * squares


def is_factorised_cheaply(objective):
    """Tell whether a Hessian takes longer to compute than to factorise.

    If not, products with it are worth a try even where gradients lead on slowly: softmax on digits
    took 0.13 s with them and 0.61 s without.
    """
    size, blocks = factorised_size(objective)
    return Factorisation.as_slow * float(size) ** 3 * blocks < hessian_work(objective)


def passes_per_hessian(objective):
    """Return how many passes take as long as a Hessian; 0 for Hessians that are cheap."""
    if objective.loss.constant_hessian or objective.proximal:
        return 0.0
    work, size = hessian_work(objective), factorised_size(objective)[0]
    is_dear, is_joint = work > LBFGSStart.hessian_work, size > objective.shape[1]
    if objective.problem.n < size + (not is_joint):
        work += float(size) ** 3 / 3.0
        is_dear = is_dear or work > (
            LBFGSStart.joint_work if is_joint else LBFGSStart.wide_work
        )  # fmt: skip
    return work / (LBFGSStart.as_fast * Work.of_pass(objective)) if is_dear else 0.0


def hessian_passes(objective):
    """Return how many passes take as long as the Hessians of all outputs, one by one."""
    return objective.shape[1] / (LBFGSStart.as_fast * 4.0)
