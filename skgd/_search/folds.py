"""The folds of a search: the rows to train on, as weights or as a matrix, and those to score on."""

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.pipeline import Pipeline

from skgd._engine import signed_targets
from skgd._estimators.inputs import check_data
from skgd._fit.early_stopping import split as split_off
from skgd._fit.sample import Sample
from skgd._fit.settings import Settings
from skgd._fit.targets import check_two_counted, learn_targets
from skgd._search.scoring import decision_values, loss_of, shallow_copy
from skgd._utils.checks import canonical, check_weights
from skgd._utils.sklearn_compat import check_method_params, num_samples, safe_indexing

# Decision values that are taken at once.
NUMBERS = 2**19


@dataclass
class Part:
    """Rows to score on.

    Attributes
    ----------
    X : array or CSR matrix
        Checked, as the models were trained on.
    rows : array of int
        The numbers of the rows in X.
    y : array of shape (n_rows,) or (n_rows, n_targets)
    targets : array or None
        y as the loss wants it; None where y has labels that the estimator does not know.
    params : dict
        More arguments for the scorer.
    raw : callable
        Returns X and y as the user passed them.
    """

    X: object
    rows: np.ndarray
    y: np.ndarray
    targets: np.ndarray | None
    params: dict
    raw: object


@dataclass(eq=False)
class Fold:
    """A split of the rows.

    Attributes
    ----------
    number : int
    template : GDClassifier or GDRegressor
        Not fitted, but with the attributes that come from the data.
    targets : Targets
    sample : Sample
        The rows to train on.
    parts : dict
        The `Part` "test" and, where asked for, "train".
    whole : callable
        Returns what the user's own scorer gets for a fitted model.
    """

    number: int
    template: object
    targets: object
    sample: Sample
    parts: dict
    whole: object

    def informed(self, estimator):
        """Return an estimator with the same parameters that knows the data."""
        informed = shallow_copy(self.template)
        vars(informed).update(vars(estimator))
        return informed

    def stopping_early(self, settings):
        """Return the samples to train on and to validate on, of an estimator that stops early."""
        fraction, random_state = settings.validation_fraction, settings.random_state
        return self.sample.once((fraction, repr(random_state)), lambda: split_off(
            self.sample, fraction, random_state, stratified=settings.task == "classification"
        ))  # fmt: skip

    def scores(self, models, scoring, name):
        """Return the score, or the dict of scores, of each fitted model on a part."""
        part = self.parts[name]
        if not scoring.needs_answers_alone:
            X, y = part.raw()
            return [scoring.score(self.whole(model), X, y, part.params) for model in models]
        return [
            score for several, values in self._decision_values(models, part)
            for score in scoring.score_answers(several, values, part.y, part.params)
        ]  # fmt: skip

    def standings(self, models, scoring):
        """Return the score, or the dict of scores, and the mean loss of each model by now.

        On the held-out rows; a loss is NaN where these have labels that are not known.
        """
        part, scores, losses = self.parts["test"], [], []
        if not scoring.needs_answers_alone:
            scores = self.scores(models, scoring, "test")
        for several, values in self._decision_values(models, part):
            if scoring.needs_answers_alone:
                scores += scoring.score_answers(several, values, part.y, part.params)
            losses += self._mean_losses(several, values, part.targets)
        return list(zip(scores, losses, strict=True))

    def _decision_values(self, models, part):
        """Yield some models and their decision values on a part, output by output."""
        k = self.sample.n_outputs
        size = max(1, NUMBERS // (k * max(1, len(part.rows))))
        for start in range(0, len(models), size):
            several = models[start:start + size]
            values = decision_values(
                part.X, part.rows, np.vstack([model.coef_ for model in several]),
                np.concatenate([model.intercept_ for model in several]),
            )  # fmt: skip
            yield several, values.reshape(len(several), k, -1)

    def _mean_losses(self, models, values, targets):
        if targets is None or not len(targets):
            return [np.nan] * len(models)
        k = self.sample.n_outputs
        # Output by output, as the values are.
        targets = np.ascontiguousarray(signed_targets(targets, k).T)
        values = values.astype(float, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            return [
                loss_of(model).compiled(k).total(targets, each) / targets.shape[1]
                for model, each in zip(models, values, strict=True)
            ]


@dataclass
class Given:
    """What a search was given.

    Attributes
    ----------
    X, y : as passed
    splits : list of (train, test)
    weights : array of shape (n_samples,) or None
        The sample weights.
    score_params : dict
        More arguments for the scorer.
    train_scores : bool
        Whether the rows trained on are scored, too.
    """

    X: object
    y: object
    splits: list
    weights: object
    score_params: dict
    train_scores: bool

    def rows(self, number):
        """Return the numbers of the rows of a split, by the name of the part."""
        everything = np.arange(num_samples(self.X))
        train, test = (everything[rows] for rows in self.splits[number])
        return {"train": train, "test": test}

    def counts(self):
        """Return how often each split trains on each row, of shape (n_splits, n_samples)."""
        n, numbers = num_samples(self.X), range(len(self.splits))
        return np.array([np.bincount(self.rows(j)["train"], minlength=n) for j in numbers])

    def checked_weights(self):
        """Return the sample weights as numbers, or None."""
        return check_weights(self.weights, num_samples(self.X))

    def part(self, number, name, X, rows, y, targets):
        """Return a part for checked rows, which are those of the user's split."""
        index = self.rows(number)[name]
        return Part(
            X, rows, y, targets, check_method_params(self.X, self.score_params, index),
            partial(self.taken, index),
        )  # fmt: skip

    def taken(self, index):
        """Return some rows of X and y as the user passed them."""
        return safe_indexing(self.X, index), safe_indexing(self.y, index)

    def split_along(self, values, index):
        """Return the values of some rows; what has not one for each row stays as it is."""
        return check_method_params(self.X, {"values": values}, index)["values"]

    @property
    def parts(self):
        return ("test", "train") if self.train_scores else ("test",)


class MaskedFolds:
    """The folds of an estimator: weights on the same rows of X, which are 0 for those held out.

    Parameters
    ----------
    given : Given
    estimator : GDClassifier or GDRegressor
        Not fitted, and not changed.
    other : MaskedFolds or None, default=None
        Those of another estimator of the same class, which has the rows checked.
    """

    def __init__(self, given, estimator, other=None):
        self.given, self.other = given, other
        self.template = shallow_copy(estimator)

    @cached_property
    def checked(self):
        """X and y, which are checked once for all estimators of a search."""
        if self.other is None:
            return check_data(self.template, self.given.X, self.given.y, reset=True)
        X, y = self.other.checked
        vars(self.template).update(columns_seen(self.other.template))
        return X, y

    @cached_property
    def settings(self):
        """The checked parameters of the estimator."""
        return Settings.of(self.template)

    @cached_property
    def _data(self):
        X, y = self.checked
        targets, encoded = learn_targets(self.settings, y)
        vars(self.template).update(targets.attributes)
        return targets, Sample(X, y, encoded, None, targets.n_outputs)

    def fold(self, number):
        given, (targets, sample), rows = self.given, self._data, self.given.rows(number)
        counts = np.bincount(rows["train"], minlength=len(sample.y)).astype(float)
        weights = check_weights(
            counts if given.weights is None else counts * check_weights(given.weights, len(counts)),
            len(counts),
        )  # fmt: skip
        if isinstance(self.template, ClassifierMixin):
            check_two_counted(sample.targets, counts)
        parts = {
            name: given.part(number, name, sample.X, rows[name], sample.y[rows[name]],
                             sample.targets[rows[name]])
            for name in given.parts
        }  # fmt: skip
        return Fold(
            number, self.template, targets, sample.weighted(weights), parts, lambda model: model
        )


class SplitFolds(MaskedFolds):
    """The folds of an estimator as copies of their rows, which were checked together.

    What needs all rows for a step reads fewer of them than behind a mask, and comes to the bits of
    a fit to the fold alone.
    """

    def fold(self, number, other=None):
        """Return a fold, of which another estimator's may have the rows already."""
        given, (targets, sample), rows = self.given, self._data, self.given.rows(number)
        train = rows["train"]
        own, encoded = learn_targets(self.settings, sample.y[train])
        if own.n_outputs != targets.n_outputs:
            raise ValueError("The rows of the fold lack a class.")
        if other is not None:
            chosen = other.sample.with_targets(encoded, targets.n_outputs)
            parts = {
                name: replace(part, targets=sample.targets[part.rows])
                for name, part in other.parts.items()
            }
        else:
            parts = {
                name: given.part(number, name, sample.X, rows[name], sample.y[rows[name]],
                                 sample.targets[rows[name]])
                for name in given.parts
            }  # fmt: skip
            weights = check_weights(given.split_along(given.weights, train), len(train))
            chosen = Sample(canonical(sample.X[train]), sample.y[train], encoded, weights,
                            targets.n_outputs)  # fmt: skip
        return Fold(number, self.template, targets, chosen, parts, lambda model: model)


class TransformedFolds:
    """The folds of a pipeline: X as the steps before the last make it from the rows of each."""

    def __init__(self, given, pipeline):
        self.given, self.pipeline = given, pipeline

    def fold(self, number, other=None):
        given, rows = self.given, self.given.rows(number)
        name, last = self.pipeline.steps[-1]
        before, template = clone(self.pipeline[:-1]), clone(last)
        X, y = given.taken(rows["train"])
        X, y = check_data(template, before.fit_transform(X, y), y, reset=True)
        weights = check_weights(given.split_along(given.weights, rows["train"]), len(y))
        targets, encoded = learn_targets(Settings.of(template), y)
        vars(template).update(targets.attributes)
        held_out, y_test = given.taken(rows["test"])
        held_out, y_test = check_data(template, before.transform(held_out), y_test, reset=False)
        checked = {"train": (X, y, encoded), "test": (held_out, y_test, _encoded(targets, y_test))}
        parts = {}
        for part in given.parts:
            X_part, y_part, known = checked[part]
            everything = np.arange(len(rows[part]))
            parts[part] = given.part(number, part, X_part, everything, y_part, known)
        return Fold(
            number, template, targets, Sample(X, y, encoded, weights, targets.n_outputs), parts,
            lambda model: Pipeline([*before.steps, (name, model)]),
        )  # fmt: skip


def columns_seen(estimator):
    """Return the attributes of an estimator that describe the columns of X."""
    return {name: value for name, value in vars(estimator).items() if name.endswith("_in_")}


def _encoded(targets, y):
    """Return y as the loss wants it, or None where it has labels that are not known."""
    try:
        return targets.encode(y)
    except ValueError:
        return None
