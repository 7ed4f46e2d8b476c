# cython: language_level=3
# Where a NumPy array's numbers lie, after its type, shape and order were checked. The holder of a
# pointer keeps the array alive. (Typed memoryviews would do the same with more to compile.)

from cpython.buffer cimport (
    PyBUF_RECORDS_RO,
    PyBuffer_IsContiguous,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.string cimport strchr


cdef inline void* _address(array, const char* kinds, tuple shape, bint writeable) except NULL:
    cdef Py_buffer view
    cdef Py_ssize_t i
    if not hasattr(array, "dtype"):
        raise TypeError(f"got {array!r}: pass an array of shape {shape}.")
    PyObject_GetBuffer(array, &view, PyBUF_RECORDS_RO)
    # A second character would be that of another byte order or of numbers that are not aligned.
    cdef bint fits = strchr(kinds, view.format[0]) != NULL and view.format[1] == 0
    fits = fits and view.ndim == len(shape)
    for i in range(view.ndim if fits else 0):
        fits = fits and view.shape[i] == shape[i]
    cdef bint readable = PyBuffer_IsContiguous(&view, b"C") and not (writeable and view.readonly)
    cdef void* address = view.buf
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(
            f"got an array of {array.dtype} and shape {array.shape}: pass "
            f"{'float64' if kinds[0] == b'd' else 'intp'} of shape {shape}, aligned."
        )
    if not readable:
        raise ValueError("got an array that is not in C order or not writeable: pass a copy of it.")
    return address


cdef inline const double* floats(array, tuple shape) except NULL:
    return <const double*>_address(array, b"d", shape, False)


cdef inline double* writeable_floats(array, tuple shape) except NULL:
    return <double*>_address(array, b"d", shape, True)


cdef inline Py_ssize_t* writeable_integers(array, tuple shape) except NULL:
    return <Py_ssize_t*>_address(array, b"lqn", shape, True)


cdef inline const Py_ssize_t* integers(array, tuple shape) except NULL:
    return <const Py_ssize_t*>_address(array, b"lqn", shape, False)
