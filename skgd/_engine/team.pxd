# cython: language_level=3
# Threads that share out the sections of batches.

cimport cython

cdef extern from "team.h" nogil:
    enum:
        SKGD_TEAMS
        SKGD_SECTIONS
    ctypedef struct skgd_team:
        Py_ssize_t batch, over
    void SKGD_TELL(Py_ssize_t* x, Py_ssize_t value)
    Py_ssize_t SKGD_LOOK(Py_ssize_t* x)
    Py_ssize_t skgd_next_batch(skgd_team* team, Py_ssize_t last)
    bint skgd_begin_section(skgd_team* team, Py_ssize_t section, Py_ssize_t batch)
    void skgd_end_section(skgd_team* team, Py_ssize_t section, Py_ssize_t batch)
    bint skgd_await_section(skgd_team* team, Py_ssize_t section, Py_ssize_t batch)


@cython.final
cdef class Team:
    cdef readonly Py_ssize_t n_threads
    cdef list helpers
    cdef skgd_team counters

    cdef inline void open(self, Py_ssize_t batch) noexcept nogil:
        """Let helpers begin the sections of a batch."""
        SKGD_TELL(&self.counters.batch, batch)

    cdef inline Py_ssize_t next(self, Py_ssize_t last) noexcept nogil:
        """Wait for a batch after another one; return its number, or 0 when there are none."""
        return skgd_next_batch(&self.counters, last)

    cdef inline bint begin(self, Py_ssize_t section, Py_ssize_t batch) noexcept nogil:
        """Return whether a section is the caller's to work on: nobody else has begun it."""
        return skgd_begin_section(&self.counters, section, batch)

    cdef inline void end(self, Py_ssize_t section, Py_ssize_t batch) noexcept nogil:
        skgd_end_section(&self.counters, section, batch)

    cdef inline bint await_end(self, Py_ssize_t section, Py_ssize_t batch) noexcept nogil:
        """Wait for the end of a section; return False where a helper has failed instead."""
        return skgd_await_section(&self.counters, section, batch)

    cdef inline void disband(self) noexcept nogil:
        """Let no thread wait any longer."""
        SKGD_TELL(&self.counters.over, 1)
