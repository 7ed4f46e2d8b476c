"""Draws which optimizer, batch size and learning rate to pass in which situation.

    python docs/draw_choosing.py [FOLDER]

Writes ``choosing-light.svg`` and ``choosing-dark.svg``, by default to ``docs/_static``. Sphinx does
so each time it builds the documentation.
"""

import sys
from pathlib import Path

HEADS = "situation", "optimizer", "batch_size", "learning_rate"
ROWS = (
    ("the data fits in memory: reach the minimum", '"auto"', '"auto"', '"auto"'),
    ('the minimum by L-BFGS, correlated columns:\nprecondition="full"', '"lbfgs"', "all rows",
     "line search"),
    ("large data, few passes suffice", '"adam"', '"auto": 256', '"auto", or 0.01 to 0.1'),
    ("wide sparse text, approximate minimum", '"sgd"', "1", '"auto"'),
    ("stochastic steps that converge to the minimum", '"saga" or "svrg"', "1", '"auto"'),
    ("a stream (partial_fit), the relationship is stable", '"auto"', '"auto"', '"auto"'),
    ("a stream, the relationship drifts", '"sgd" or "adam"', '"auto"', "a constant"),
    ("a step rule of your own", "an Optimizer", "32 to 512", "a schedule"),
)  # fmt: skip
LEFT = 0.0, 4.35, 5.95, 7.0  # of each column, in inches
INKS = {
    "light": {"ink": "#1f2328", "line": "#57606a", "band": "#eaeef2", "code": "#0550ae"},
    "dark": {"ink": "#e6edf3", "line": "#8d96a0", "band": "#22272e", "code": "#79c0ff"},
}


def draw(folder, pages=tuple(INKS)):
    """Write the figure for light and for dark pages to a folder; return the files."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    return [_draw(folder / f"choosing-{page}.svg", **INKS[page]) for page in pages]


def _draw(file, *, ink, line, band, code):
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "skgd"}):
        figure = Figure(figsize=(9.1, 0.5 * (len(ROWS) + 1)))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-0.15, 8.95), ylim=(len(ROWS) + 0.5, -0.6))
        axes.axis("off")
        for left, head in zip(LEFT, HEADS, strict=True):
            axes.text(left, 0, head, color=ink, weight="bold", va="center", fontsize=11)
        axes.plot([-0.15, 8.95], [0.5, 0.5], color=line, lw=1)
        for number, row in enumerate(ROWS, start=1):
            if number % 2 == 0:
                axes.axhspan(number - 0.5, number + 0.5, color=band, lw=0, zorder=0)
            for left, cell in zip(LEFT, row, strict=True):
                color = code if left else ink
                axes.text(left, number, cell, color=color, va="center", fontsize=10.5)
        figure.savefig(file, transparent=True, metadata={"Date": None, "Creator": None})
    return file


if __name__ == "__main__":
    default = Path(__file__).parent / "_static"
    for written in draw(sys.argv[1] if len(sys.argv) > 1 else default):
        print(written)
