"""Fits for displays, and what a figure says."""

import warnings

from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning

from skgd import GDClassifier

CANCER = load_breast_cancer(return_X_y=True)


def quietly(function, *args, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args, **settings)


def fitted(optimizer="adam", **settings):
    settings = {"max_iter": 20, "batch_size": 64, "random_state": 0} | settings
    return quietly(GDClassifier(optimizer=optimizer, **settings).fit, *CANCER)


def labels_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]
