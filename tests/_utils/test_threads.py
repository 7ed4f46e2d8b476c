"""Threads that share out work: results in order, and nothing under way after an error."""

import time

import pytest

from skgd._utils.threads import Threads


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("n_jobs", [0, 1, 7])
def test_results_come_in_the_order_of_the_jobs(n, n_jobs):
    def late(job):
        time.sleep(0.001 * (n_jobs - job))
        return job

    with Threads(n) as threads:
        for _ in range(2):
            assert threads.map(late, range(n_jobs)) == list(range(n_jobs))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_after_an_error_no_job_goes_on(n):
    begun, done = [], []

    def work(job):
        begun.append(job)
        if job == 1:
            raise ZeroDivisionError
        time.sleep(0.02)
        done.append(job)

    with Threads(n) as threads:
        with pytest.raises(ZeroDivisionError):
            threads.map(work, range(100))
        assert sorted([*done, 1]) == sorted(begun)
        assert len(begun) <= 2 * n
        assert threads.map(abs, [-1, -2, -3]) == [1, 2, 3]


@pytest.mark.parametrize("n, shares", [(1, [5]), (2, [3, 2]), (3, [2, 2, 1]), (9, [1] * 5)])
def test_a_list_is_shared_out_in_its_order(n, shares):
    with Threads(n) as threads:
        lists = threads.share(list("abcde"))
    assert [len(each) for each in lists] == shares and sum(lists, []) == list("abcde")
    assert threads.share([]) == []


def test_an_interrupt_while_jobs_are_handed_out_stops_those_under_way(monkeypatch):
    begun, ended, threads = [], [], Threads(2)
    submit = threads.pool.submit

    def interrupted(*call):
        if begun:
            raise KeyboardInterrupt
        handed_out = submit(*call)
        while not begun:
            time.sleep(0.001)
        return handed_out

    def work(job):
        begun.append(job)
        for _ in range(300):
            threads.pause()
            time.sleep(0.01)
        ended.append(job)

    monkeypatch.setattr(threads.pool, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt), threads:
        threads.map(work, range(2))
    assert begun and not ended
