# cython: language_level=3, cdivision=True
cdef inline double rounded(double t, double width) noexcept nogil:
    """max(0, t), with the kink at 0 rounded over a width: at most width / 2 below it."""
    if t <= 0.0:
        return 0.0
    return 0.5 * t * t / width if t < width else t - 0.5 * width
