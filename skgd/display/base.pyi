from collections.abc import Sequence
from typing import Any

COLORS: Sequence[str]

class Display:
    ax_: Any
    figure_: Any
    lines_: list[Any]

def named(what: str, things: Any, names: Sequence[str] | None) -> tuple[list[Any], list[str]]: ...
