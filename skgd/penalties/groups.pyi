from collections.abc import Iterable

from numpy.typing import ArrayLike

from skgd.penalties.base import Penalty

__all__ = ["GroupLasso"]

class GroupLasso(Penalty):
    groups: Iterable[Iterable[int]] | None
    weights: ArrayLike | None
    def __init__(
        self, groups: Iterable[Iterable[int]] | None = None, weights: ArrayLike | None = None
    ) -> None: ...
