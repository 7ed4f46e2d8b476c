# cython: language_level=3
"""Threads that share out the sections of a batch.

One thread opens batch after batch, and works itself on each section that nobody has begun: a helper
that the machine does not run just then holds up nobody. What a section is depends only on the
data, so that sums over sections are the same to the bit for any number of threads.
"""


cdef class Team:
    """The threads that work on some batches, one after the other.

    Parameters
    ----------
    pool : concurrent.futures.Executor or None
        Of the helping threads.
    n_threads : int
        With the one that opens the batches, which has the number 0.
    help : callable
        What a helper does, given the team and its number, until there are no batches any more.
    """

    def __init__(self, pool, Py_ssize_t n_threads, help):
        self.n_threads = n_threads
        self.helpers = [pool.submit(help, self, thread) for thread in range(1, n_threads)]

    def dismiss(self):
        """Wait for the helpers' end, and raise what they have raised."""
        self.disband()
        for helper in self.helpers:
            helper.result()
