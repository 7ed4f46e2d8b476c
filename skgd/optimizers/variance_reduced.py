"""Step rules whose gradients lose their noise: a remembered slope corrects each row."""

from skgd._utils.checks import check_count
from skgd.optimizers.base import Optimizer
from skgd.optimizers.step_rules import SGDRule

__all__ = ["SVRG", "SAGA"]


class SVRG(Optimizer):
    """Stochastic gradient descent with variance reduction by a snapshot.

    ``w = w - rate (g_B(w) - g_B(v) + g(v))`` with ``g_B`` a batch's gradient and v the parameters
    of a snapshot, at which the full gradient ``g(v)`` was computed. The first epoch, before there
    is a snapshot, is plain gradient descent, as the paper advises. On a strongly convex objective
    it converges linearly at a constant learning rate.

    One slope per row and output of the snapshot is stored. A step changes all coefficients, on
    sparse rows too. With "auto", a batch has about as many stored values as there are features, and
    the learning rate follows from the batch size, the largest row norm and the smallest curvature.

    Parameters
    ----------
    every : int, default=2
        The epochs between snapshots; a snapshot reads all rows once.

    References
    ----------
    Johnson and Zhang, Accelerating stochastic gradient descent using predictive variance reduction,
    NeurIPS 2013. Gazagnadou, Gower and Salmon, Optimal mini-batch and step sizes for SAGA, ICML
    2019.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> from skgd.optimizers import SVRG
    >>> GDClassifier(optimizer=SVRG(every=1), batch_size=8).optimizer
    SVRG(every=1)
    """

    Rule = SGDRule
    takes_streams = False

    def __init__(self, *, every=2):
        self.every = every

    @property
    def snapshots(self):
        check_count("every", self.every)
        return self.every

    def automatic_rate(self, n_rows, batch_length, curvatures):
        return _reduced_rate(n_rows, batch_length, curvatures), 0.0

    def automatic_batch(self, n_rows, n_features, row_nnz):
        return _reduced_batch(n_features, row_nnz)

    def _rule(self):
        check_count("every", self.every)
        return SGDRule(0.0, False, 0.0)


class SAGA(Optimizer):
    """Stochastic gradient descent with variance reduction by a table of gradients.

    ``w = w - rate (g_B(w) - h_B + h)`` with ``g_B`` a batch's gradient, ``h_B`` its value when its
    rows were last visited, and h the mean of these values over all rows. The rows of the batch are
    then updated in the table. The first epoch, in which each row is visited for the first time, is
    plain gradient descent. On a strongly convex objective it converges linearly at a constant
    learning rate.

    One slope per row and output is stored. A step changes all coefficients, on sparse rows too.
    With "auto", a batch has about as many stored values as there are features, and the learning
    rate follows from the batch size, the largest row norm and the smallest curvature.

    References
    ----------
    Defazio, Bach and Lacoste-Julien, SAGA: a fast incremental gradient method with support for
    non-strongly convex composite objectives, NeurIPS 2014. Gazagnadou, Gower and Salmon, Optimal
    mini-batch and step sizes for SAGA, ICML 2019.

    Examples
    --------
    >>> from skgd import GDClassifier
    >>> GDClassifier(optimizer="saga", batch_size=8).optimizer
    'saga'
    """

    Rule = SGDRule
    takes_streams = False
    snapshots = 0

    def __init__(self):
        pass

    def automatic_rate(self, n_rows, batch_length, curvatures):
        return _reduced_rate(n_rows, batch_length, curvatures), 0.0

    def automatic_batch(self, n_rows, n_features, row_nnz):
        return _reduced_batch(n_features, row_nnz)

    def _rule(self):
        return SGDRule(0.0, False, 0.0)


def _reduced_rate(n_rows, batch_length, curvatures):
    """Return the rate of a variance-reduced rule.

    Theory has 1/(3 L) and 1/(2 (L + n mu)), with L the expected curvature of a batch's objective
    and mu the least curvature of the mean's. Rows that are drawn without replacement stand about
    three times as much; where n mu is large, shorter steps leave less noise in each pass.
    """
    noise = (n_rows - batch_length) / max(1, n_rows - 1) / batch_length
    expected = noise * curvatures.single + (1.0 - noise) * curvatures.mean
    return 1.0 / min(max(n_rows * curvatures.least / 8.0, 0.75 * expected), 5.0 * expected)


def _reduced_batch(n_features, row_nnz):
    """Return the rows whose numbers are as many as those that a step changes."""
    return int(min(max(n_features / row_nnz, 1.0), 256.0))
