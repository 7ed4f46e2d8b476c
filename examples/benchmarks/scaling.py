"""How skgd's time and memory grow with rows, columns, stored numbers and outputs.

Time: fits with a fixed number of epochs over doubling sizes, the sizes in turn, and the exponent of
a straight line through the logarithms of the shortest times. Held to 1 +- 0.1 over rows and over
stored numbers, to at most 1.1 over outputs; over columns it is printed only, since a row has a cost
of its own.

Memory: a fresh process a case opens X and y from files, reads all of X, notes its resident memory
and fits; the kernel's high-water mark (VmHWM) less what was noted is the peak over the data. Held
to 64 MiB + 4 x the coefficients and intercepts + 32 bytes a row.

A data limit: a process that may have no more than LIMIT bytes of data (RLIMIT_DATA) trains on a
memory-mapped file three times as large, shuffled by blocks, and cannot load it.

    python examples/benchmarks/scaling.py [--quick]

Linux only. ``--quick`` shrinks all sizes, and the file of the last part to 0.3 of the limit, until
the numbers mean nothing.
"""

import argparse
import resource
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from _shared import alternate, csr, dense
from scipy import sparse

from skgd import GDClassifier, GDRegressor

MIB = 2**20
LIMIT = 512 * MIB
EPOCHS = 5
# Steps along full gradients and along those of batches: the engine's two primitives.
WAYS = {
    "full passes": {"optimizer": "sgd", "batch_size": "full", "learning_rate": 1e-6},
    "SGD batch 1": {"optimizer": "sgd", "batch_size": 1, "learning_rate": 1e-6},
    "Adam batch 256": {"optimizer": "adam", "batch_size": 256, "learning_rate": 1e-4},
}


def fit(X, y, way, model=GDClassifier, **parameters):
    warnings.simplefilter("ignore")
    model(max_iter=EPOCHS, tol=None, random_state=0, **WAYS[way], **parameters).fit(X, y)


# ---- files --------------------------------------------------------------------------------------

def write_dense(folder, n, d):
    """Write X in blocks, so that files larger than memory can be made, and targets next to it."""
    rng, y = np.random.default_rng(0), np.empty(n, dtype=int)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", shape=(n, d))
    for start in range(0, n, 65536):
        block = rng.normal(size=(min(65536, n - start), d))
        X[start:start + 65536] = block
        y[start:start + 65536] = block[:, 0] + 0.5 * rng.normal(size=len(block)) > 0
    X.flush()
    np.save(folder / "y.npy", y)


def write_csr(folder, n, d, stored):
    X, y = csr(n, d, stored)
    for name, part in (("data", X.data), ("indices", X.indices), ("indptr", X.indptr), ("y", y)):
        np.save(folder / f"{name}.npy", part)


# ---- time ---------------------------------------------------------------------------------------

def exponent(sizes, functions, repetitions):
    """Return the exponent of time over size, and the least seconds, the sizes in turn."""
    times = alternate(functions, repetitions)
    seconds = np.min(times, axis=0)
    return np.polyfit(np.log(sizes), np.log(seconds), 1)[0], seconds


def print_growth(what, sizes, make, repetitions, low, high, model=GDClassifier):
    """Print a line for each way to fit what `make` returns for a size."""
    data = [make(size) for size in sizes]
    for way in WAYS:
        functions = [partial(fit, *parts, way, model) for parts in data]
        slope, seconds = exponent(sizes, functions, repetitions)
        missed = "" if low is None or low <= slope <= high else "  missed"
        bar = "-" if low is None else f"at most {high:g}" if low < 0 else f"{low:g} to {high:g}"
        print(f"{what:<34}{way:<17}{slope:>8.2f}  {bar:<12}{sizes[0]:>8} to {sizes[-1]:<9}"
              f"{1e3 * seconds[0]:>8.4g} to {1e3 * seconds[-1]:.4g} ms{missed}", flush=True)


def measure_time(shrink, repetitions):
    print(f"{'time over':<34}{'way':<17}{'exponent':<10}{'bar':<12}{'sizes':>6}")
    rows = [size // shrink for size in (50_000, 100_000, 200_000, 400_000, 800_000)]
    print_growth("rows, dense, 20 columns", rows, lambda n: dense(n, 20), repetitions, 0.9, 1.1)
    print_growth("rows, CSR, 50 of 10000", rows[:-1], lambda n: csr(n, 10_000, 50), repetitions,
                 0.9, 1.1)  # fmt: skip
    n, stored = 20_000 // shrink, [50, 100, 200, 400, 800]
    print_growth("numbers in a row, CSR, 1600 cols", stored, lambda s: csr(n, 1600, s), repetitions,
                 0.9, 1.1)  # fmt: skip
    print_growth("columns, dense", [25, 50, 100, 200, 400], lambda d: dense(n, d), repetitions,
                 None, None)  # fmt: skip
    X, outputs = dense(n, 50)[0], [4, 8, 16, 32, 64]
    rng = np.random.default_rng(1)
    print_growth("outputs, softmax", outputs, lambda k: (X, np.arange(n) % k), repetitions,
                 -np.inf, 1.1)  # fmt: skip
    print_growth("outputs, regression", outputs, lambda k: (X, rng.normal(size=(n, k))),
                 repetitions, -np.inf, 1.1, GDRegressor)  # fmt: skip


# ---- memory, in fresh processes -----------------------------------------------------------------

def in_fresh_process(function, *arguments):
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def status(field):
    """Return a field of the kernel's account of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {field}.")


def open_data(folder, kind, d):
    if kind == "CSR":
        parts = [np.load(folder / f"{name}.npy") for name in ("data", "indices", "indptr")]
        X = sparse.csr_matrix(tuple(parts), shape=(len(parts[2]) - 1, d), copy=False)
    else:
        X = np.load(folder / "X.npy", mmap_mode="r" if kind == "memory map" else None)
    return X, np.load(folder / "y.npy")


def peak_over_data(folder, kind, d, way, parameters):
    """Return the bytes that a fit has at most beyond what was resident before."""
    X, y = open_data(folder, kind, d)
    X.sum()  # the pages of a mapped file count as resident once they are read
    before = status("VmRSS")
    fit(X, y, way, **parameters)
    return status("VmHWM") - before


def measure_memory(shrink):
    print(f"\n{'peak over the data':<34}{'way':<40}{'MiB':>8}{'bound':>8}")
    n, big, wide = 200_000 // shrink, 1_000_000 // shrink, 100_000
    cases = [("dense", n, 100), ("dense", big, 20), ("CSR", n, wide), ("memory map", n, 100),
             ("memory map", big, 20)]  # fmt: skip
    variants = [(way, {}) for way in WAYS]
    variants += [("Adam batch 256", {"precondition": None}),
                 ("Adam batch 256", {"early_stopping": True})]  # fmt: skip
    for kind, rows, d in cases:
        with tempfile.TemporaryDirectory() as folder:
            if kind == "CSR":
                write_csr(Path(folder), rows, d, 100)
            else:
                write_dense(Path(folder), rows, d)
            for way, parameters in variants:
                peak = in_fresh_process(peak_over_data, Path(folder), kind, d, way, parameters)
                bound = 64 * MIB + 4 * 8 * (d + 1) + 32 * rows
                name = ", ".join([way, *(f"{key}={value}" for key, value in parameters.items())])
                print(f"{f'{kind}, {rows}x{d}':<34}{name:<40}{peak / MIB:>8.1f}{bound / MIB:>8.1f}"
                      + ("  missed" if peak > bound else ""), flush=True)


def train_within_limit(folder, way):
    """Train under the limit; return the epochs, the bytes of data, and whether X can be loaded."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    X, y = open_data(folder, "memory map", None)
    model = GDClassifier(max_iter=EPOCHS, tol=None, shuffle=True, random_state=0, **WAYS[way])
    model.fit(X, y)
    data = status("VmData")
    try:
        np.array(X)
    except MemoryError:
        return model.n_iter_, data, False
    return model.n_iter_, data, True


def measure_limit(shrink):
    d, size = 100, 3 * LIMIT if shrink == 1 else LIMIT // 3
    with tempfile.TemporaryDirectory() as folder:
        write_dense(Path(folder), size // (8 * d), d)
        print(f"\na data limit of {LIMIT // MIB} MiB, a memory-mapped file of {size // MIB} MiB")
        for way in WAYS:
            try:
                epochs, data, loads = in_fresh_process(train_within_limit, Path(folder), way)
            except MemoryError as error:
                print(f"  {way}: missed, {error or 'MemoryError'}")
                continue
            print(f"  {way}: {epochs} epochs, {data // MIB} MiB of data at the end; the file "
                  f"{'can' if loads else 'cannot'} be loaded")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", choices=("time", "memory", "limit"), help="one part only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # that two epochs are not enough
    shrink, repetitions = (50, 2) if options.quick else (1, 5)
    if options.part in (None, "time"):
        measure_time(shrink, repetitions)
    if options.part in (None, "memory"):
        measure_memory(shrink)
    if options.part in (None, "limit"):
        measure_limit(shrink)


if __name__ == "__main__":
    main()
