"""BLAS with one thread: the workers of pytest-xdist are enough for all cores."""

import os

# Read once, when NumPy is imported.
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(name, "1")
