# cython: language_level=3
from skgd.penalties.base cimport PenaltyRule


cdef class WeightedRule(PenaltyRule):
    cdef object owner
    # One number for each coefficient; NULL for ones.
    cdef const double* weights
