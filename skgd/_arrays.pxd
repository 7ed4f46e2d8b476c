# cython: language_level=3
# Where a NumPy array's numbers lie, after its type, shape and order were checked. The holder of a
# pointer keeps the array alive. (Typed memoryviews would do the same with more to compile.)


cdef inline void* _address(array, str kind, tuple shape, bint writeable) except NULL:
    if not hasattr(array, "__array_interface__"):
        raise TypeError(f"got {array!r}: pass an array of shape {shape}.")
    if array.dtype.char not in kind or array.dtype.byteorder not in "=|" or array.shape != shape:
        raise ValueError(
            f"got an array of {array.dtype} and shape {array.shape}: pass "
            f"{'float64' if kind == 'd' else 'intp'} of shape {shape}."
        )
    flags = array.flags
    if not (flags.c_contiguous and flags.aligned) or (writeable and not flags.writeable):
        raise ValueError("got an array that is not in C order or not writeable: pass a copy of it.")
    return <void*><size_t>array.__array_interface__["data"][0]


cdef inline const double* floats(array, tuple shape) except NULL:
    return <const double*>_address(array, "d", shape, False)


cdef inline double* writeable_floats(array, tuple shape) except NULL:
    return <double*>_address(array, "d", shape, True)


cdef inline Py_ssize_t* writeable_integers(array, tuple shape) except NULL:
    return <Py_ssize_t*>_address(array, "lqn", shape, True)


cdef inline const Py_ssize_t* integers(array, tuple shape) except NULL:
    return <const Py_ssize_t*>_address(array, "lqn", shape, False)
