"""
Text with 100 000 columns
=========================

Which library does a sentence come from, and which words give it away?

The rows are lines from the docstrings of the installed NumPy, SciPy and scikit-learn. Each word and
each pair of words is a column. A row has about 17 nonzeros. X stays sparse: nothing is centred,
copied or made dense.
"""

import time
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
from scipy import interpolate, linalg, optimize, signal, sparse, stats
from sklearn import decomposition, ensemble, linear_model, metrics, preprocessing
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

from skgd import GDClassifier

SOURCES = {
    "NumPy": [np, np.linalg, np.fft, np.ma, np.random],
    "SciPy": [interpolate, linalg, optimize, signal, sparse, stats],
    "scikit-learn": [decomposition, ensemble, linear_model, metrics, preprocessing],
}


# sphinx_gallery_start_ignore
def sentences(modules: list[ModuleType]) -> list[str]:
    """Return the longer lines of all docstrings in some modules."""
    docs = {getattr(thing, "__doc__", None) for m in modules for thing in vars(m).values()}
    lines = {line.strip() for doc in docs if isinstance(doc, str) for line in doc.splitlines()}
    return sorted(line for line in lines if len(line.split()) > 6 and ">>>" not in line)
# sphinx_gallery_end_ignore


texts = {name: sentences(modules) for name, modules in SOURCES.items()}
labels = np.repeat(list(texts), [len(lines) for lines in texts.values()])
vectorizer = TfidfVectorizer(ngram_range=(1, 2))
X = vectorizer.fit_transform([line for lines in texts.values() for line in lines])
X_train, X_test, y_train, y_test = train_test_split(X, labels, random_state=0)
print(f"{X.shape[0]} lines, {X.shape[1]} columns, {X.nnz / X.shape[0]:.0f} nonzeros per row")

# %%
# All columns of a tf-idf table have the same unit, and most are zero in nearly all rows.
# Preconditioning has little to gain here, so ``precondition=None`` takes plain steps, as
# SGDClassifier does.

models = [
    SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=5, tol=None, random_state=0),
    GDClassifier(optimizer="adam", learning_rate=0.03, alpha=1e-5, precondition=None, max_iter=5,
                 tol=None, random_state=0),
]
for model in models:
    start = time.perf_counter()
    model.fit(X_train, y_train)
    seconds, score = time.perf_counter() - start, model.score(X_test, y_test)
    print(f"{type(model).__name__}: accuracy {score:.3f} on held-out lines, {seconds:.1f} s")

# %%
# The largest coefficients belong to the words that are typical of a library. A softmax has one row
# of coefficients per class, on comparable scales.

words = vectorizer.get_feature_names_out()
fig, axes = plt.subplots(1, 3, figsize=(8, 4.6), sharex=True)
for ax, name, coef in zip(axes, models[1].classes_, models[1].coef_, strict=True):
    top = np.argsort(coef)[-15:]
    ax.barh(words[top], coef[top])
    ax.set(title=name, xlabel="coefficient")
plt.show()
