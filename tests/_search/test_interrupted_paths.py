"""Ctrl-C while a search walks paths: it ends within a moment, and the search can be used again."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("interrupted_paths.py")
# Until a search walks its paths, and what an interrupt may take on a machine with much to do.
STARTED, ENOUGH = 0.4, 5.0
# Seconds after which the whole test has failed.
LIMIT = 100.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupted_search_can_be_used_again():
    with subprocess.Popen(
        [sys.executable, SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        # A search that does not end fails, as it cannot be read from any more.
        clock = threading.Timer(LIMIT, child.kill)
        clock.start()
        for _ in ("dense", "sparse", "newton", "long"):
            assert child.stdout.readline() == "searching\n", child.stderr.read()
            time.sleep(STARTED)
            child.send_signal(signal.SIGINT)
            sent = time.perf_counter()
            assert child.stdout.readline() == "interrupted\n"
            assert time.perf_counter() - sent < ENOUGH
            assert child.stdout.readline() == "not fitted\n"
            assert child.stdout.readline() == "2\n"
        assert child.wait() == 0, child.stderr.read()
        clock.cancel()
