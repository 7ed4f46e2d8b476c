from collections.abc import Callable
from concurrent.futures import Executor

class Team:
    n_threads: int
    def __init__(
        self, pool: Executor | None, n_threads: int, help: Callable[[Team, int], None]
    ) -> None: ...
    def dismiss(self) -> None: ...
