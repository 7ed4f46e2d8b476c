"""The regressor."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from skgd._estimators.base import BaseGD, losses_in_words, takes_batches
from skgd._estimators.dask_inputs import lazy_on_collections
from skgd._utils.collections import gathered


class GDRegressor(RegressorMixin, BaseGD):
    """Linear regression trained by gradient descent, on raw columns of any scale.

    Minimises ``F(W, b) = 1/sum(s) sum_i s_i loss(y_i, W x_i + b) + alpha penalty(W)``.

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        An object from ``skgd.losses`` or one of the names

{losses}
    penalty : {"l2", "l1", "elasticnet", None} or Penalty, default="l2"
        The shape of the penalty; ``|w|^2 / 2`` for l2.
    alpha : float or "auto", default=1e-4
        The factor of the penalty, at least 0. "auto" chooses the alpha with the smallest
        leave-one-out loss for smooth losses with l2, and with the smallest loss over five folds
        otherwise. It needs ``learning_rate="auto"``, and isn't available in ``partial_fit``. If
        rows depend on each other, search with ``GDSearchCV``.
    l1_ratio : float or None, default=0.15
        The weight of l1 in "elasticnet"; ignored, and may be None, for other penalties.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    positive : bool, default=False
        Whether to keep all coefficients at 0 or above.
    optimizer : str, Optimizer or FullBatchOptimizer, default="auto"
        "auto" needs no tuning. Else "momentum", "nesterov", or the name of a class in
        ``skgd.optimizers`` in snake_case: step rules, such as "sgd", "adam" and "saga", take
        steps with a learning rate; full-batch optimizers, such as "gradient_descent" and "lbfgs",
        find their own steps.
    learning_rate : float, Schedule or callable, default="auto"
        The learning rate of a step rule, dimensionless with preconditioning; a callable gets an
        array of step numbers.
    batch_size : {"auto", "full"}, int or float, default="auto"
        Rows of a step; a float is a share of all rows. "auto" is an eighth of them, 256 at most,
        and a single row in ``partial_fit`` with SGD and no rate.
    shuffle : bool, default=True
        Whether to read the rows in a new random order in each epoch.
    precondition : {"auto", "diagonal", "full", None}, default="auto"
        The metric of descent. "diagonal" removes the scales of the columns and the curvature of
        the loss; "full" the correlations of the columns too, for full-batch optimizers and smooth
        penalties, up to some 1500 columns. None descends in raw coordinates. "auto" is "diagonal";
        the "auto" optimizer's Newton steps need no more.
    average : bool or int, default=False
        Whether to return the mean of a step rule's iterates; an int is the first step of the mean,
        counted from 1.
    max_iter : int, default=1000
        The largest number of epochs, or of iterations of a full-batch optimizer.
    tol : float or None, default=1e-4
        When to stop, relative to the decrease from the best constant model; None runs exactly
        ``max_iter`` epochs.
    n_iter_no_change : int or inf, default=5
        Epochs without improvement before a step rule stops; with inf, it never does.
    early_stopping : bool, default=False
        Whether to stop by the loss or score of a validation set, and return the best weights.
    validation_fraction : float, default=0.1
        The share of rows held out for early stopping.
    scoring : str, callable or None, default=None
        What ``early_stopping=True`` watches; None is the validation loss. Without early stopping
        it has no effect, with a warning.
    init : {"zeros", "random"} or (coef, intercept), default="zeros"
        Where descent starts: coefficients of zero, small random ones, or those given, which have
        the shapes of ``coef_`` and ``intercept_``. "zeros" and "random" start the intercept at the
        best constant, and at zero with ``precondition=None``; so does a classifier with a
        ``learning_rate`` of one's own or in ``partial_fit``.
    on_divergence : {"recover", "raise"}, default="recover"
        Whether a diverging run warns and returns its best iterate, or raises.
    warm_start : bool, default=False
        Whether fit continues from the last fit.
    n_jobs : int, default=None
        Threads of full passes, and of batches of dense rows; None is 1, -1 all cores. The results
        are the same to the bit.
    verbose : int, default=0
        Whether to print a line for each epoch.
    random_state : int, RandomState or None, default=None
        The source of random orders.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_outputs, n_features)
        Coefficients for the raw columns, in the dtype of X.
    intercept_ : array of shape (n_outputs,)
        Intercepts.
    alpha_ : float
        The factor of the penalty: the given one, or the one that "auto" has chosen.
    alpha_path_ : dict of arrays or None
        With ``alpha="auto"`` the values tried, "alpha", in rising order, and the mean loss of rows
        that are left out, "loss", summed over the outputs.
    n_features_in_ : int
        Features seen during fit.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X had names.
    n_iter_ : int
        Epochs or iterations of the last fit; of all calls of ``partial_fit``.
    t_ : int
        Update steps.
    history_ : dict of arrays
        One entry an epoch: epoch, step, passes, loss, objective, gradient_norm, learning_rate,
        seconds, validation_loss, validation_score.
    converged_ : bool
        Whether the run ended by itself.
    stop_reason_ : str
        "tol", "precision", "max_iter", "early_stopping", "callback", "diverged" or "interrupted".
    learning_rate_ : float
        The first rate.
    optimality_ : float
        An upper bound on how far the objective is from its minimum; inf where none is known, NaN
        where it is much work, which ``optimality(X, y)`` does on request.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skgd import GDRegressor
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> round(GDRegressor().fit(X, y).score(X, y), 3)
    0.518
    >>> round(GDRegressor(alpha="auto").fit(X, y).alpha_, 5)
    0.00083
    """

    _task = "regression"

    def __init__(
        self, loss="squared_error", *, penalty="l2", alpha=1e-4, l1_ratio=0.15, fit_intercept=True,
        positive=False, optimizer="auto", learning_rate="auto", batch_size="auto", shuffle=True,
        precondition="auto", average=False, max_iter=1000, tol=1e-4, n_iter_no_change=5,
        early_stopping=False, validation_fraction=0.1, scoring=None, init="zeros",
        on_divergence="recover", warm_start=False, n_jobs=None, verbose=0, random_state=None,
    ):  # fmt: skip
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.precondition = precondition
        self.average = average
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.init = init
        self.on_divergence = on_divergence
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    @available_if(takes_batches)
    def partial_fit(self, X, y, sample_weight=None):
        """Take one epoch of update steps on a batch of rows and keep all state.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array of shape (n_samples,), default=None
            The weight of each row; a call whose weights are all zero changes nothing.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, sample_weight, first=not hasattr(self, "coef_"))

    @np.errstate(all="ignore")
    @lazy_on_collections
    def predict(self, X):
        """Predict targets: the mean for a log link, a column for each of several quantiles.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_outputs)
        """
        predictions = self._loss.predictions(self._decision(X))
        return predictions[:, 0] if self._single_output else predictions

    @np.errstate(all="ignore")
    def score(self, X, y, sample_weight=None):
        """Return R^2, averaged over outputs; the mean D^2 for a list of quantiles.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array of shape (n_samples,), default=None

        Returns
        -------
        float
            At most 1; 0 is what the best constant reaches.
        """
        y, sample_weight = gathered(y, "y"), gathered(sample_weight, "sample_weight")
        return self._loss.score(y, gathered(self.predict(X), "predict(X)"), sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        try:
            tags.target_tags.positive_only = not self._loss.in_domain(np.array(-1.0))
        except (TypeError, ValueError):
            # Tags are asked for before parameters are checked.
            pass
        return tags


if GDRegressor.__doc__:  # which `python -OO` strips
    GDRegressor.__doc__ = GDRegressor.__doc__.replace("{losses}", losses_in_words("regression"))
