"""Threads that share out the work of a search."""

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from math import ceil


class Threads:
    """Some threads that wait for work while the context lasts; one is the caller's own.

    Parameters
    ----------
    n : int
    """

    def __init__(self, n):
        self.n, self.is_stopped = n, False
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
            under_way.extend(self.pool.submit(function, job) for job in jobs)
            wait(under_way, return_when=FIRST_EXCEPTION)
        except BaseException:
            self.is_stopped = True
            raise
        finally:
            for job in under_way:
                job.cancel()
            wait(under_way)
        return [job.result() for job in under_way]

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
