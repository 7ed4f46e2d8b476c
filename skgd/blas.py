"""BLAS on one thread: on small blocks threads slow it down, and the last bits depend on them."""

from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController


@cache
def one_thread():
    """Return the context in which BLAS has one thread, the same for all fits of the process.

    The number of threads is the process's. Fits that run at the same time in threads of Python
    must not take each other's limit for the number to go back to: the first to come sets the
    limit, and the last to leave lifts it.
    """
    return _OneThread()


class _OneThread:
    def __init__(self):
        self.libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self.lock, self.inside, self.before = Lock(), 0, []

    def __enter__(self):
        with self.lock:
            if not self.inside:
                self.before = [library.num_threads for library in self.libraries]
                self._set([1] * len(self.before))
            self.inside += 1

    def __exit__(self, *error):
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self._set(self.before)

    def _set(self, numbers):
        for library, number in zip(self.libraries, numbers, strict=True):
            library.set_num_threads(number)
