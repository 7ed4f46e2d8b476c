"""What differs from SGDClassifier and SGDRegressor, shown on bundled data with a figure each.

Standardised columns, defaults and ``random_state=0`` on both sides.
"""

import io
import re
from contextlib import redirect_stdout

import numpy as np
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier, GDRegressor


def standardised(load):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def early_stopping():
    X, y = standardised(load_breast_cancer)
    peer = SGDClassifier(loss="log_loss", early_stopping=True, verbose=1, random_state=0)
    with redirect_stdout(io.StringIO()) as printed:
        peer.fit(X, y)
    watched = re.findall(r"Validation score: ([\d.]+)", printed.getvalue())[-1]
    ours = GDClassifier(early_stopping=True, scoring="accuracy", random_state=0).fit(X, y)
    last = ours.history_["validation_score"][-1]
    print(f"early stopping     SGD watches {float(watched):.2f}, accuracy {peer.score(X, y):.2f}")
    print(f"early stopping     GD  watches {last:.2f}, accuracy {ours.score(X, y):.2f}")


def sparse():
    X, y = standardised(load_diabetes)
    for name, model in (("SGD", SGDRegressor(random_state=0)), ("GD", GDRegressor(tol=1e-8))):
        scores = [model.fit(rows, y).score(rows, y) for rows in (X, csr_array(X))]
        print(f"dense and sparse   {name:3s} R2 {scores[0]:.3f} and {scores[1]:.3f}")


def weights():
    X, y = standardised(load_breast_cancer)
    times = np.random.default_rng(0).integers(0, 4, len(y))
    repeated = X.repeat(times, axis=0), y.repeat(times)
    sgd = SGDClassifier(loss="log_loss", random_state=0)
    for name, model in (("SGD", sgd), ("GD", GDClassifier(tol=1e-8))):
        weighted = model.fit(X, y, sample_weight=times).coef_.copy()
        difference = np.abs(weighted - model.fit(*repeated).coef_).max()
        print(f"weights, repeats   {name:3s} coefficients differ by {difference:.1e}")


def classes():
    X, y = load_digits(return_X_y=True)
    sgd = SGDClassifier(loss="log_loss", random_state=0)
    for name, model in (("SGD", sgd), ("GD", GDClassifier())):
        pipeline = make_pipeline(StandardScaler(), model)
        loss = -cross_val_score(pipeline, X, y, scoring="neg_log_loss").mean()
        print(f"ten classes        {name:3s} cross-validated log loss {loss:.2f}")


if __name__ == "__main__":
    early_stopping()
    sparse()
    weights()
    classes()
