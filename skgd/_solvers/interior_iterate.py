"""An iterate of an interior point method, in units that do not depend on alpha."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class InteriorIterate:
    """An iterate well inside its bounds, from which a descent for another alpha may start.

    Attributes
    ----------
    model : tuple
        Its coefficients and intercepts.
    parts : list of tuple
        For each output the dual variables and the distances above and below the kinks, in the units
        of the margins; then the same for the kinks of the penalties, in those of coefficients.
    """

    model: tuple
    parts: list

    @classmethod
    def of(cls, objective, paths, varying):
        """Return the iterate at which paths are."""
        metric, x, parts = objective.metric, np.zeros(objective.shape), []
        x[:, varying] = [path.x for path in paths]
        for path, unit, inverse in zip(paths, metric.unit, metric.inverse, strict=True):
            losses, penalties = path.parts
            scale = inverse[varying]
            parts.append((
                (losses.dual, losses.above / unit, losses.below / unit),
                (penalties.dual, penalties.above * scale, penalties.below * scale),
            ))  # fmt: skip
        return cls(objective.to_raw(x.ravel()), parts)

    def enter(self, objective, paths, varying):
        """Move paths to the iterate, where it is one of the same rows and columns."""
        metric = objective.metric
        x = metric.from_raw(*self.model)[:, varying]
        known = [[part[0].shape for part in parts] for parts in self.parts]
        if known != [[part.dual.shape for part in path.parts] for path in paths]:
            return
        for path, row, (losses, penalties), unit, inverse in zip(
            paths, x, self.parts, metric.unit, metric.inverse, strict=True
        ):
            path.x = row.copy()
            path.parts[0].move_to(*losses, unit)
            path.parts[1].move_to(*penalties, 1.0 / inverse[varying])
