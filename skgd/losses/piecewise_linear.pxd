# cython: language_level=3, cdivision=True
cdef inline double rounded(double t, double smoothing) noexcept nogil:
    """max(0, t), with the kink at 0 rounded over that width: at most smoothing / 2 below it."""
    if t <= 0.0:
        return 0.0
    return 0.5 * t * t / smoothing if t < smoothing else t - 0.5 * smoothing


cdef inline double clipped(double t) noexcept nogil:
    """t, clipped to the range from 0 to 1."""
    t = 1.0 if 1.0 < t else t
    return 0.0 if t < 0.0 else t
