"""How the pictures of the gallery look.

Labels that can be read on a phone, and the colours of skgd's displays, which colour-blind readers
can tell apart.
"""

import matplotlib.pyplot as plt

from skgd.display import COLORS


def apply(gallery_conf, script):
    """Set matplotlib's defaults before a script runs; sphinx-gallery's ``reset_modules``."""
    plt.rcParams.update({
        "figure.figsize": (8, 4.2),
        "figure.constrained_layout.use": True,
        "font.size": 12,
        "axes.titlesize": 12,
        "figure.labelsize": 12,
        "axes.prop_cycle": plt.cycler(color=COLORS),
        "axes.edgecolor": "0.4",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.fontsize": 11,
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
    })
