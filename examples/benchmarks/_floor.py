"""The floor under the engine: epochs of SGD in plain C, compiled from ``floor.c`` where there is a
compiler."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from scipy import sparse

SOURCE = Path(__file__).with_name("floor.c")
FLAGS = ["-O3", "-march=native", "-ffast-math", "-fopenmp-simd", "-shared", "-fPIC"]


@cache
def library():
    """Return the compiled floor, or None without a compiler."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "floor.so")
        subprocess.run([compiler, *FLAGS, SOURCE, "-o", path, "-lm"], check=True)
        return ctypes.CDLL(str(path))


def address(array):
    return ctypes.c_void_p(array.ctypes.data)


def floor_fit(X, y, *, epochs, rate, alpha):
    """Take epochs of steps along single rows in random orders; return the coefficients."""
    n, d = X.shape
    w, b, signs = np.zeros(d), np.zeros(1), 2.0 * y - 1.0
    rng, sizes = np.random.default_rng(0), (ctypes.c_ssize_t(n), ctypes.c_ssize_t(d))
    if sparse.issparse(X):
        epoch, parts = library().sparse_epoch, (X.data, X.indices, X.indptr)
    else:
        epoch, parts = library().dense_epoch, (X,)
    numbers = ctypes.c_double(rate), ctypes.c_double(alpha)
    for _ in range(epochs):
        order = rng.permutation(n)
        epoch(*sizes, *map(address, (*parts, signs, order)), *numbers, address(w), address(b))
    return w, b[0]
