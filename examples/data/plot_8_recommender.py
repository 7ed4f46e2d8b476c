"""
A recommender: users and items one-hot
======================================

Which item is good, if each user rates only a few, and some users are generous?

The mean rating of an item mixes its quality with the generosity of those who rated it. A linear
model with one column per user and one per item separates the two. Each row of X has two ones; all
other values are zero. The ratings are synthetic, so that the truth is known.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import OneHotEncoder

from skgd import GDRegressor

rng = np.random.default_rng(0)
USERS, ITEMS, RATINGS = 3000, 400, 30_000
generosity, quality = rng.normal(size=USERS), rng.normal(size=ITEMS)

# Generous users choose items with high numbers, the others those with low numbers.
user = rng.integers(0, USERS, RATINGS)
choice = 0.5 + 0.2 * generosity[user] + 0.15 * rng.normal(size=RATINGS)
item = np.clip(ITEMS * choice, 0, ITEMS - 1).astype(int)
rating = 5 + generosity[user] + quality[item] + rng.normal(size=RATINGS)

encoder = OneHotEncoder()
X = encoder.fit_transform(np.column_stack([user, item]))
model = GDRegressor(alpha=1 / RATINGS).fit(X, rating)
print(f"{X.shape[0]} ratings, {X.shape[1]} columns, {model.n_iter_} iterations")

known = encoder.categories_[1]
by_mean = np.array([rating[item == i].mean() for i in known])
by_model = model.coef_[len(encoder.categories_[0]):]
fig, axes = plt.subplots(1, 2, figsize=(8, 4.4), sharex=True, sharey=True)
for ax, name in zip(axes, ("mean rating", "coefficient"), strict=True):
    estimate = by_mean - by_mean.mean() if name == "mean rating" else by_model - by_model.mean()
    ax.scatter(quality[known], estimate, c=known, s=14, cmap="viridis")
    ax.plot([-3, 3], [-3, 3], color="0.7", ls=":")
    correlation = np.corrcoef(quality[known], estimate)[0, 1]
    ax.set(title=f"{name}\ncorrelation {correlation:.2f}", xlabel="true quality", ylim=(-4, 4))
axes[0].set_ylabel("estimated quality")
fig.colorbar(axes[0].collections[0], ax=axes, location="bottom", aspect=40,
             label="number of the item: generous users rate high numbers")
plt.show()

# %%
# The mean overrates items with high numbers, which generous users choose. An l2 penalty with
# ``alpha = 1 / n`` corresponds to a mixed model whose effects have the standard deviation of the
# noise.
