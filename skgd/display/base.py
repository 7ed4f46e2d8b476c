"""What the displays share."""

# Okabe and Ito's colours, which colour-blind readers can tell apart, without the pale yellow.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


class Display:
    """What the displays share: the axes, the colours, the legend."""

    def _axes(self, ax):
        """Return axes to draw on, and whether the figure is this display's own."""
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__} needs matplotlib: install it, for instance by "
                "`pip install skgd[plot]`."
            ) from error
        own = ax is None
        if own:
            _, ax = plt.subplots(figsize=(7.0, 4.0), layout="constrained")
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, []
        return ax, own

    def _add_legend(self, own):
        """Add a legend: next to the axes of an own figure, else where it hides least."""
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if own else {"loc": "best"}
        if self.ax_.get_legend_handles_labels()[0]:
            self.ax_.legend(frameon=not own, **place)


def named(what, things, names):
    """Return a list of things and one of their names."""
    if isinstance(things, dict):
        things, names = list(things.values()), list(things)
    things = list(things)
    names = list(map(str, range(1, len(things) + 1))) if names is None else list(names)
    if not things or len(names) != len(things):
        raise ValueError(
            f"{what}: got {len(things)} of them and {len(names)} names; pass a dict, or as many "
            "names."
        )
    return things, names
