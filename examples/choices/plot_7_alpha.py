"""
How strong a penalty
====================

Which alpha, and how many coefficients does it leave?

The ten measurements of 442 people with diabetes, their squares and their products make 65 columns.
A search over ``{"alpha": "path"}`` goes through 100 values of alpha on ten folds. The best score
belongs to a model with many coefficients; the largest alpha within one standard error of it needs
far fewer, and the folds cannot tell the two apart. Below are the coefficients that the penalty
takes back one by one.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skgd import GDRegressor, GDSearchCV, RegularizationPathDisplay, one_standard_error

data = load_diabetes(scaled=False, as_frame=True)
features = PolynomialFeatures(2, include_bias=False).set_output(transform="pandas")
X = features.fit_transform(data.data).drop(columns="sex^2")
X = StandardScaler().set_output(transform="pandas").fit_transform(X)

model = GDRegressor(penalty="l1")
search = GDSearchCV(model, {"alpha": "path"}, cv=10).fit(X, data.target)
simple = search.set_params(refit=one_standard_error).fit(X, data.target).best_estimator_

fig, (above, below) = plt.subplots(2, 1, figsize=(7, 7), sharex=True, layout="constrained")
RegularizationPathDisplay.from_search(search, ax=above)
RegularizationPathDisplay.from_estimator(
    model, X.to_numpy(), data.target, ax=below, line_kw={"linewidth": 0.8}
)
above.set(xlabel="", ylabel="R² on held-out people", ylim=(0.0, 0.55))
names = ", ".join(X.columns[simple.coef_ != 0])
below.set_title(f"within one standard error: {names}", fontsize=8)
below.axvline(simple.alpha, color="0.5", linestyle="--")
plt.show()
