"""Threads that share out the work of a search."""

import ctypes
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from math import ceil
from threading import Lock, get_ident


class Threads:
    """Some threads that wait for work while the context lasts; one is the caller's own.

    Parameters
    ----------
    n : int
    """

    def __init__(self, n):
        self.n, self.is_stopped = n, False
        self.lock, self.at_work = Lock(), set()
        self.pool = ThreadPoolExecutor(n) if n > 1 else None

    def __enter__(self):
        return self

    def __exit__(self, error, *more):
        # Ctrl-C may come anywhere, while jobs are handed out, say.
        self.is_stopped = self.is_stopped or error is not None
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=self.is_stopped)

    def map(self, function, jobs):
        """Return the results of all jobs; after an error, or Ctrl-C, none of them continues."""
        jobs = list(jobs)
        if min(self.n, len(jobs)) <= 1:
            return [function(job) for job in jobs]
        under_way = []
        try:
            under_way.extend(self.pool.submit(self._work, function, job) for job in jobs)
            wait(under_way, return_when=FIRST_EXCEPTION)
        except BaseException:
            self.is_stopped = True
            self._interrupt()
            raise
        finally:
            for job in under_way:
                job.cancel()
            wait(under_way)
        return [job.result() for job in under_way]

    def _work(self, function, job):
        """Return the result of a job, in a thread that can be interrupted meanwhile."""
        with self.lock:
            self.pause()
            self.at_work.add(get_ident())
        try:
            return function(job)
        finally:
            with self.lock:
                self.at_work.discard(get_ident())

    def _interrupt(self):
        """Raise KeyboardInterrupt in the threads that are at work: signals reach the main one."""
        with self.lock:
            for thread in self.at_work:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt)
                )

    def pause(self):
        """Raise in a job that takes long, once the others are not to continue."""
        if self.is_stopped:
            raise KeyboardInterrupt

    def share(self, items):
        """Return a list as one list of about the same length for each thread, or fewer."""
        size = max(1, ceil(len(items) / self.n))
        return [items[i:i + size] for i in range(0, len(items), size)]


# For what must be done one after the other.
ALONE = Threads(1)
