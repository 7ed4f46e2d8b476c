"""Rows beyond memory and beyond one machine: Dask against memory, and a spool against reading.

    python large_data.py [--only dask|overhead|kills|spool] [--rows N] [--kills N]

Needs ``skgd[dask,parquet]``; dask-ml is timed where it is installed. The cluster is a LocalCluster
of two processes with one thread each.
"""

import argparse
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

D, PARTS = 50, 40


def piece(number, n, kind, d=D):
    """Return the rows of a partition: raw columns with scales from 1e-3 to 1e3, correlated."""
    shared = np.random.default_rng(0)
    scale, mix = 10.0 ** shared.uniform(-3, 3, d), np.eye(d) + 0.3 * shared.normal(size=(d, d)) / 7
    w, shift = shared.normal(size=(3, d)) / np.sqrt(d), shared.normal(size=d)
    own = np.random.default_rng([1, number])
    Z = own.normal(size=(n, d)) @ mix
    z = Z @ w.T * 2
    y = {
        "two": lambda: (own.uniform(size=n) < 1 / (1 + np.exp(-z[:, 0]))).astype(np.int64),
        "three": lambda: (z + own.gumbel(size=(n, 3))).argmax(axis=1),
        "numbers": lambda: z[:, 0] + own.normal(size=n),
        "counts": lambda: own.poisson(np.exp(0.5 * z[:, 0])).astype(float),
    }[kind]()
    return np.ascontiguousarray((Z + shift) * scale), y


def sizes_of(n, n_parts=PARTS):
    """Return uneven sizes of partitions; the fourth is empty."""
    sizes = np.random.default_rng(n_parts).uniform(0.3, 1.7, n_parts)
    sizes[min(3, n_parts - 1)] = 0.0
    sizes = np.floor(sizes / sizes.sum() * n).astype(int)
    sizes[0] += n - sizes.sum()
    return sizes.tolist()


def collections(client, n, kind, n_parts=PARTS):
    """Return persisted Dask arrays, whose rows are made on the workers."""
    import dask
    import dask.array as da
    from distributed import wait

    make, sizes = dask.delayed(piece, nout=2, pure=True), sizes_of(n, n_parts)
    parts = [make(i, size, kind) for i, size in enumerate(sizes)]
    X = da.concatenate([
        da.from_delayed(p[0], (size, D), float) for p, size in zip(parts, sizes, strict=True)
    ])  # fmt: skip
    dtype = float if kind in ("numbers", "counts") else np.int64
    y = da.concatenate([
        da.from_delayed(p[1], (size,), dtype) for p, size in zip(parts, sizes, strict=True)
    ])  # fmt: skip
    X, y = client.persist([X, y])
    wait([X, y])
    return X, y


def best_of(function, repetitions=3):
    """Return the least seconds, and the last result."""
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - started)
    return min(seconds), result


def dask_against_memory(client, n):
    from skgd import GDClassifier, GDRegressor

    models = {
        "log_loss l2": (GDClassifier(), "two"),
        "softmax l2": (GDClassifier(), "three"),
        "squared_error l2": (GDRegressor(), "numbers"),
        "poisson l2": (GDRegressor("poisson"), "counts"),
        "log_loss l1": (GDClassifier(penalty="l1"), "two"),
    }
    print(f"{n} x {D} in {PARTS} partitions, 2 workers of one thread; memory with n_jobs=2")
    print(f"{'':18}{'memory s':>10}{'dask s':>10}{'ratio':>8}{'passes':>8}{'rel. diff':>12}")
    for name, (model, kind) in models.items():
        parts = collections(client, n, kind)
        model.fit(*parts)  # imports on the workers
        elsewhere, found = best_of(lambda model=model, parts=parts: model.fit(*parts))
        coef, passes = found.coef_, found.history_["passes"][-1]
        del parts
        pieces = [piece(i, size, kind) for i, size in enumerate(sizes_of(n))]
        X, y = (np.concatenate(part) for part in zip(*pieces, strict=True))
        del pieces
        model.set_params(n_jobs=2)
        here, found = best_of(lambda model=model, X=X, y=y: model.fit(X, y))
        off = np.abs(coef - found.coef_).max() / np.abs(coef).max()
        ratio = elsewhere / here
        print(f"{name:18}{here:10.2f}{elsewhere:10.2f}{ratio:8.1f}{passes:8.0f}{off:12.1e}")
        model.set_params(n_jobs=None)
        del X, y
    peer(client, n)


def peer(client, n):
    """Print the time of dask-ml, whose objective is another one."""
    try:
        from dask_ml.linear_model import LogisticRegression
    except ImportError:
        print("dask-ml is not installed")
        return
    X, y = collections(client, n, "two")
    sizes = tuple(n // PARTS for _ in range(PARTS))
    X, y = X.rechunk({0: sizes}), y.rechunk({0: sizes})
    seconds, _ = best_of(lambda: LogisticRegression(solver="lbfgs").fit(X, y), 1)
    print(f"dask-ml LogisticRegression(solver='lbfgs'), even partitions: {seconds:.1f} s")


def overhead(client):
    """Print what a pass takes, and which part of it is the workers' arithmetic, and Dask's.

    The floor is a task on each worker that does nothing with what a worker holds. A fit of few
    passes is subtracted: what comes before the first pass and after the last is no part of one.
    """
    from distributed import get_task_stream, wait

    from skgd import GDClassifier

    held = [client.submit(bool, address, workers=[address]) for address in client.nthreads()]
    wait(held)
    print("ms a pass, hardly any rows; beyond: what is neither arithmetic nor the floor")
    print(f"{'partitions':>10}{'a pass':>10}{'arithmetic':>12}{'floor':>8}{'beyond':>8}")
    for n_parts in (2, 8, 40, 200):
        parts, took = collections(client, 2000, "two", n_parts), {}
        for n_steps in (5, 30):
            model = GDClassifier(optimizer="gradient_descent", tol=None, max_iter=n_steps)
            with warnings.catch_warnings(), get_task_stream(client) as stream:
                warnings.simplefilter("ignore")
                seconds, found = best_of(lambda model=model, parts=parts: model.fit(*parts))
            inside = sum(
                part["stop"] - part["start"] for task in stream.data
                for part in task["startstops"] if part["action"] == "compute"
            ) / (3 * len(held))  # fmt: skip
            took[n_steps] = np.array([seconds, inside, found.history_["passes"][-1]])
        floor = best_of(lambda: bare_tasks(client, held))[0] / BARE
        seconds, inside, passes = took[30] - took[5]
        row = 1e3 * np.array([seconds, inside]) / passes
        print(f"{n_parts:10}{row[0]:10.1f}{row[1]:12.1f}{1e3 * floor:8.1f}", end="")
        print(f"{row[0] - row[1] - 1e3 * floor:8.1f}")


# Rounds of tasks that do nothing.
BARE = 25


def bare_tasks(client, held):
    for _ in range(BARE):
        client.gather(client.map(bool, held, pure=False))


def start_server():
    """Start the process whose copies the workers are; return the settings that it takes.

    Otherwise each new worker spends seconds of CPU time on imports, and on a busy machine a nanny
    whose worker does not start gives it up for good.
    """
    from multiprocessing import forkserver, get_context

    get_context("forkserver").set_forkserver_preload(["skgd", "distributed", "dask.array"])
    forkserver.ensure_running()
    return {
        "distributed.worker.multiprocessing-method": "forkserver",
        "distributed.comm.timeouts.connect": "300s",
        # A partition is not to blame for the deaths of the workers that it lay on.
        "distributed.scheduler.allowed-failures": 1000,
    }


def living(cluster, killed, seconds=300):
    """Return the numbers of the workers' processes, once none is missing.

    A nanny gives up a worker that is killed before the nanny has heard of it.
    """
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        processes = [nanny.process for nanny in cluster.workers.values()]
        pids = [each.pid for each in processes if each and each.status.name == "running"]
        if len(pids) == len(processes) and all(pids) and not set(pids) & set(killed):
            return pids
        time.sleep(0.05)
    states = {name: nanny.status.name for name, nanny in cluster.workers.items()}
    raise RuntimeError(f"no worker started again within {seconds} s; nannies: {states}")


def kills(client, count):
    """Print how many fits end with the same bits of those in which a worker is killed.

    As many are fitted as it takes until a number of kills has hit a fit before its end.
    """
    from skgd import GDClassifier

    parts = collections(client, 100_000, "three")
    model, generator = GDClassifier(optimizer="lbfgs", tol=1e-9), np.random.default_rng(5)
    coef = model.fit(*parts).coef_
    quiet, _ = best_of(lambda: model.fit(*parts), 1)
    n_fits, same, failed, hit, lost = 0, 0, 0, 0, []
    while hit + failed < count:
        n_fits += 1
        pids = living(client.cluster, lost)
        pid, killed = pids[generator.integers(len(pids))], []
        lost.append(pid)

        def kill(pid=pid, killed=killed):
            os.kill(pid, signal.SIGKILL)
            killed.append(time.perf_counter())

        timer = threading.Timer(generator.uniform(0, quiet), kill)
        timer.start()
        try:
            model.fit(*parts)
            ended = time.perf_counter()
            timer.join()
            same, hit = same + np.array_equal(model.coef_, coef), hit + (killed[0] < ended)
        except Exception as error:
            timer.join()
            failed += 1
            print(type(error).__name__, str(error)[:200])
        print(f"fit {n_fits}: {hit} hit, {same} same, {failed} failed", file=sys.stderr)
    print(f"{n_fits} fits, {hit} hit in mid-fit: {same} with the same bits, {failed} failed")


WAYS = {
    "base": "import skgd, skgd.data, pyarrow.parquet; coef = None",
    "memory": (
        "import pyarrow.parquet as pq; from skgd import GDClassifier; "
        "t = pq.read_table(FOLDER); y = t.column('y').to_numpy(); "
        "X = np.column_stack([t.column(f'x{j}').to_numpy() for j in range(50)]); "
        "coef = GDClassifier().fit(X, y).coef_"
    ),
    "spool": (
        "from skgd import GDClassifier; from skgd.data import spool; import pyarrow.parquet; "
        "X, y, _ = spool(FOLDER, target='y'); coef = GDClassifier().fit(X, y).coef_"
    ),
}
# Anonymous memory: pages of a map are the operating system's to take back.
ASKED = (
    "import threading, time, sys, numpy as np; FOLDER = sys.argv[1]; peak = [0]\n"
    "def watch():\n"
    "    while True:\n"
    "        lines = open('/proc/self/status').read().split('\\n')\n"
    "        peak[0] = max(peak[0], *(int(l.split()[1]) for l in lines if 'RssAnon' in l))\n"
    "        time.sleep(0.005)\n"
    "threading.Thread(target=watch, daemon=True).start()\n"
    "import skgd, skgd.data, pyarrow.parquet; started = time.perf_counter()\n"
    "{}\n"
    "print(time.perf_counter() - started, peak[0], 0 if coef is None else coef.tobytes().hex())"
)


def spooled(n, folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(folder)
    for i, start in enumerate(range(0, n, 50_000)):
        X, y = piece(i, min(50_000, n - start), "two")
        columns = {f"x{j}": X[:, j] for j in range(D)} | {"y": y}
        pq.write_table(pa.table(columns), folder / f"{i:03}.parquet", compression="zstd")
    found = {}
    for name, code in WAYS.items():
        out = [
            subprocess.run(
                [sys.executable, "-c", ASKED.format(code), str(folder)], capture_output=True,
                check=True, text=True,
            ).stdout.split()
            for _ in range(3)
        ]  # fmt: skip
        found[name] = min(float(o[0]) for o in out), min(int(o[1]) for o in out) / 1024, out[0][2]
    base = found["base"][1]
    for name in ("memory", "spool"):
        print(f"{name:8}{found[name][0]:8.2f} s {found[name][1] - base:8.0f} MiB above the imports")
    print("the same bits:", found["memory"][2] == found["spool"][2])
    streams(folder)


def streams(folder):
    """Print what a pass over the files takes: reading alone, and an epoch of two classifiers."""
    import pyarrow.parquet as pq
    from sklearn.linear_model import SGDClassifier

    from skgd import GDClassifier

    def batches():
        for path in sorted(folder.glob("*.parquet")):
            table = pq.read_table(path)
            X = np.column_stack([table.column(f"x{j}").to_numpy() for j in range(D)])
            yield X, table.column("y").to_numpy()

    def learn(model):
        for X, y in batches():
            model.partial_fit(X, y, classes=[0, 1])

    print(f"reading {best_of(lambda: [None for _ in batches()], 2)[0]:8.2f} s")
    for model in (SGDClassifier("log_loss"), GDClassifier(optimizer="adam")):
        seconds, _ = best_of(lambda model=model: learn(model), 1)
        print(f"{type(model).__name__}.partial_fit {seconds:8.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--kills", type=int, default=25)
    options = parser.parse_args()
    if options.only in ("", "spool"):
        with tempfile.TemporaryDirectory() as folder:
            spooled(options.rows // 2, folder)
    if options.only == "spool":
        return
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set(start_server()), LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", death_timeout=300,
        silence_logs=logging.CRITICAL,
    ) as cluster, Client(cluster) as client:
        client.upload_file(__file__)
        if options.only in ("", "overhead"):
            overhead(client)
        if options.only in ("", "kills"):
            kills(client, options.kills)
        if options.only in ("", "dask"):
            dask_against_memory(client, options.rows)


if __name__ == "__main__":
    main()
