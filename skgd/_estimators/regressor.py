"""The regressor."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from skgd._estimators.base import BaseGD, losses_in_words, takes_batches
from skgd._estimators.dask_inputs import lazy_on_collections
from skgd._utils.collections import gathered


class GDRegressor(RegressorMixin, BaseGD):
    """Linear regression trained by gradient descent, on unscaled features.

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
        "auto" needs no tuning. Otherwise "momentum", "nesterov", or the name of a class in
        ``skgd.optimizers`` in snake_case. Step rules, such as "sgd", "adam" and "saga", use a
        learning rate; full-batch optimizers, such as "gradient_descent" and "lbfgs", choose their
        own step length.
    learning_rate : float, Schedule or callable, default="auto"
        The learning rate of a step rule, dimensionless with preconditioning; a callable gets an
        array of step numbers.
    batch_size : {"auto", "full"}, int or float, default="auto"
        The number of rows per step; a float is a fraction of all rows. "auto" is an eighth of the
        rows, at most 256, and a single row in ``partial_fit`` without a learning rate.
    shuffle : bool, default=True
        Whether to read the rows in a new random order in each epoch.
    precondition : {"auto", "diagonal", "full", None}, default="auto"
        The preconditioner. "diagonal" scales by the column scales and the curvature of the loss.
        "full" also removes the correlations of the columns; it needs a full-batch optimizer, a
        smooth penalty and at most some 1500 columns. None takes plain steps. "auto" is "diagonal".
    average : bool or int, default=False
        Whether to return the average of a step rule's iterates; an int is the first step of the
        average, counted from 1.
    max_iter : int, default=1000
        The largest number of epochs, or of iterations of a full-batch optimizer.
    tol : float or None, default=1e-4
        The tolerance for stopping, relative to the decrease of the objective from the best constant
        model; None runs exactly ``max_iter`` epochs. With ``learning_rate="auto"``, step rules also
        stop at a duality gap of ``50 * tol`` of that decrease.
    n_iter_no_change : int or inf, default=5
        Epochs without improvement before a step rule stops; with inf, it never does.
    early_stopping : bool, default=False
        Whether to stop by the loss or score of a validation set, and return the best coefficients.
    validation_fraction : float, default=0.1
        The fraction of the rows held out for early stopping.
    scoring : str, callable or None, default=None
        The score that ``early_stopping=True`` monitors; None is the validation loss. Without early
        stopping it has no effect, and the fit warns.
    init : {"zeros", "random"} or (coef, intercept), default="zeros"
        The start: zero, small random or given coefficients, with the shapes of ``coef_`` and
        ``intercept_``. With "zeros" and "random", the intercept starts at the best constant. It
        starts at zero with ``precondition=None``, and in a classifier that is given a
        ``learning_rate`` or trained by ``partial_fit``.
    on_divergence : {"recover", "raise"}, default="recover"
        Whether a diverging run warns and returns its best iterate, or raises.
    warm_start : bool, default=False
        Whether ``fit`` continues from the last fit.
    n_jobs : int, default=None
        The number of threads for full passes and for batches of dense rows; None means 1, -1 all
        cores. The result is identical to the last bit.
    verbose : int, default=0
        Whether to print a line per epoch.
    random_state : int, RandomState or None, default=None
        The source of random row orders.

    Attributes
    ----------
    coef_ : array of shape (n_features,) or (n_outputs, n_features)
        Coefficients for the raw columns, in the dtype of X.
    intercept_ : array of shape (n_outputs,)
        Intercepts.
    alpha_ : float
        The factor of the penalty: the given value, or the one that "auto" chose.
    alpha_path_ : dict of arrays or None
        With ``alpha="auto"``, the values tried in increasing order, "alpha", and the mean loss of
        left-out rows, "loss", summed over the outputs.
    n_features_in_ : int
        The number of features seen during fit.
    feature_names_in_ : array of shape (n_features,)
        Their names, where X had names.
    n_iter_ : int
        The number of epochs or iterations of the last fit, or of all calls of ``partial_fit``.
    t_ : int
        The number of update steps.
    history_ : dict of arrays
        One entry per epoch: epoch, step, passes, loss, objective, gradient_norm, learning_rate,
        seconds, validation_loss, validation_score.
    converged_ : bool
        Whether the fit converged.
    stop_reason_ : str
        "tol", "precision", "max_iter", "early_stopping", "callback", "diverged" or "interrupted".
    learning_rate_ : float
        The first learning rate.
    optimality_ : float
        A bound on the distance of the objective from its minimum. inf means that no bound is known,
        NaN that it costs too much; ``optimality(X, y)`` computes it on request.

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
        """Run one epoch of update steps on a batch of rows, and keep the whole state.

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
