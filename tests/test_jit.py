"""Loops and tasks that are shared out over threads."""

import multiprocessing
import threading
import time
from contextvars import ContextVar
from functools import partial

import numpy as np
import pytest
import torch

from mmdefect.jit import in_bands, side_by_side

WHERE: ContextVar[str] = ContextVar("WHERE", default="nowhere")


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")


def count_up(band, start, stop, seen):
    seen[start:stop] += 1


def met(barrier, name):
    barrier.wait(20)
    return name, threading.get_ident()


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 100])
@pytest.mark.parametrize("options", [{}, {"bands": 7}, {"least": 40}, {"least": 0}])
def test_bands_hold_every_row_once(rows, options):
    seen = np.zeros(rows, int)
    in_bands(count_up, rows, seen, **options)
    assert (seen == 1).all()


def test_rows_that_are_not_worth_a_thread_stay_together():
    bands = []
    in_bands(lambda band, start, stop: bands.append((start, stop)), 70, least=40)
    assert bands == [(0, 70)]


def test_tasks_run_at_the_same_time_and_answer_in_their_order():
    barrier = threading.Barrier(3)
    told = side_by_side([partial(met, barrier, name) for name in "abc"])
    assert [name for name, _ in told] == ["a", "b", "c"]
    assert len({thread for _, thread in told}) == 3


def test_more_tasks_than_threads():
    assert side_by_side([partial(int, k) for k in range(50)]) == list(range(50))
    assert side_by_side([]) == []


def test_nothing_is_shared_out_again_within_a_task():
    def own_threads():
        inner = side_by_side([threading.get_ident, threading.get_ident])
        return {*inner, threading.get_ident()}

    assert all(len(own) == 1 for own in side_by_side([own_threads] * 6))


def test_torch_has_one_thread_in_a_task_and_its_own_afterwards():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert side_by_side([torch.get_num_threads] * 4) == [1] * 4
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_tasks_see_the_context_they_were_begun_in():
    token = WHERE.set("here")
    try:
        assert side_by_side([WHERE.get] * 5) == ["here"] * 5
    finally:
        WHERE.reset(token)


def test_the_first_error_is_told_once_all_threads_are_at_rest():
    running = []

    def slow():
        running.append(1)
        time.sleep(0.05)
        running.pop()

    def fails():
        raise ValueError("told")

    with pytest.raises(ValueError, match="told"):
        side_by_side([fails, slow, slow])
    assert not running
    assert side_by_side([partial(int, k) for k in range(4)]) == [0, 1, 2, 3]


def in_a_child(answer):
    seen = np.zeros(30, int)
    in_bands(count_up, 30, seen)
    answer.put(int(seen.sum()))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own():
    in_bands(count_up, 30, np.zeros(30, int))
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    child = context.Process(target=in_a_child, args=(answer,))
    child.start()
    assert answer.get(timeout=60) == 30
    child.join()
