"""A cluster of two worker processes, which start, and start again, in a fraction of a second."""

import logging
import multiprocessing
import os
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

# What a worker imports sooner or later: seconds for each of them, if not done once for all.
IMPORTED = ["skgd", "distributed", "dask.array", "dask.dataframe"]
CONFIG = {
    "distributed.worker.multiprocessing-method": "forkserver",
    # A worker that starts on a busy machine is not given up, nor a partition for what happened
    # to the workers that it lay on.
    "distributed.comm.timeouts.connect": "300s",
    "distributed.scheduler.allowed-failures": 1000,
    # Threads that look at workers all the time.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
}


def start_server():
    """Start the process whose copies the workers are."""
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(IMPORTED)
    threads = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    os.environ.update(dict.fromkeys(threads, "1"))  # a process with threads cannot be copied
    try:
        forkserver.ensure_running()
    finally:
        for name, value in threads.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def two_workers():
    """Yield the client of a cluster."""
    start_server()
    with (
        dask.config.set(CONFIG),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, death_timeout=300,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        yield client
