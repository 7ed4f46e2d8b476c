# cython: language_level=3
# Gradients of mini-batches, for sweeps.

cimport cython

from skgd._engine.parameters cimport Parameters
from skgd._engine.data_term cimport DataTerm, OrderedTargets
from skgd._engine.rows cimport Workspace
from skgd._engine.team cimport Team


@cython.final
cdef class BatchGradient:
    cdef DataTerm problem
    cdef OrderedTargets targets
    cdef Parameters parameters
    cdef double weight_scale
    cdef Workspace space  # of the thread that opens the batches; None before the first one
    cdef object pool  # of helping threads; None before they are needed
    cdef Team team
    cdef Py_ssize_t n_threads
    cdef Py_ssize_t max_sections  # of a batch
    cdef object section_array
    cdef double* section_gradients  # of all sections but the first, (max_sections - 1, k, p)

    cdef Workspace workspace(self)
    cdef int assemble(self, order, bounds) except -1
    cdef Py_ssize_t count_sections(self, Py_ssize_t size) noexcept nogil
    cdef int compute(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t n_remaining,
                     Py_ssize_t number) except -1 nogil
    cdef int help(self, const Py_ssize_t* row, const Py_ssize_t* bound, Py_ssize_t n_batches,
                  Team team, Py_ssize_t thread, Workspace space) except -1 nogil
    cdef int add_section(self, const Py_ssize_t* index, Py_ssize_t size, Py_ssize_t n_remaining,
                         Py_ssize_t section, Py_ssize_t thread,
                         Workspace space) except -1 nogil
