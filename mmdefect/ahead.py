"""Captures read ahead by other processes, so that who judges them does not wait for files.

* Reading is decoding, undistorting and registering: work for a processor as much as for a disk.
  Processes do it beside the one that learns and judges, whose threads it would only share.
* Scenes come in the captures' order, and only so many are read ahead that memory stays bounded.
* What a reader could not use is told with the scene it belongs to and entered then, so that a
  list of refusals is the same as without readers.
* A data set keeps its readers while it lives, because a process takes seconds to begin. Where one
  of them ends (out of memory, killed), the rest is read here.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Protocol
from weakref import WeakKeyDictionary, finalize

import xarray as xr

from mmdefect.captures import Capture, Refusal

_AHEAD = 2


class Reader(Protocol):
    """What captures are read by: a data set."""

    refused: list[Refusal]
    readers: int

    def scene(self, capture: Capture) -> xr.Dataset:
        """Read one capture."""
        ...

    def finder(self) -> Callable[[], Any]:
        """Give what finds the same captures in another process."""
        ...


_POOLS: "WeakKeyDictionary[Any, ProcessPoolExecutor]" = WeakKeyDictionary()
_THERE: list[Reader] = []


def read_ahead(dataset: Reader, captures: Sequence[Capture]) -> Iterator[xr.Dataset]:
    """Read captures in as many processes as the data set has readers.

    Parameters
    ----------
    dataset : Reader
        Of so many ``readers``; without any, captures are read here.
    captures : sequence of Capture
        Of the data set.

    Yields
    ------
    Dataset
        A scene a capture, in order.
    """
    left = deque(captures)
    if dataset.readers < 1 or len(left) < 2:
        yield from map(dataset.scene, left)
        return
    waiting: deque[Future[tuple[xr.Dataset, list[Refusal]]]] = deque()
    read: deque[Capture] = deque()
    try:
        while left or waiting:
            while left and len(waiting) < _AHEAD * dataset.readers:
                waiting.append(_pool(dataset).submit(_read, left[0]))
                read.append(left.popleft())
            scene, refused = waiting[0].result()
            dataset.refused += [told for told in refused if told not in dataset.refused]
            waiting.popleft(), read.popleft()
            yield scene
    except BrokenProcessPool:
        _POOLS.pop(dataset).shutdown(wait=False, cancel_futures=True)
        yield from map(dataset.scene, [*read, *left])
    finally:
        for future in waiting:
            future.cancel()


def _pool(dataset: Reader) -> ProcessPoolExecutor:
    """Give a data set's readers, hired when they are first needed."""
    if dataset not in _POOLS:
        pool = ProcessPoolExecutor(
            dataset.readers, get_context("spawn"), _begin, (dataset.finder(),)
        )
        _POOLS[dataset] = pool
        finalize(dataset, pool.shutdown, wait=False, cancel_futures=True)
    return _POOLS[dataset]


def _begin(found: Callable[[], Reader]) -> None:
    """Find the captures, in a reader's process; one thread, or readers would share processors."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    _THERE[:] = [found()]


def _read(capture: Capture) -> tuple[xr.Dataset, list[Refusal]]:
    """Read a capture, in a reader's process; tell what of it could not be used."""
    scene = _THERE[0].scene(capture)
    return scene, [told for told in _THERE[0].refused if told.capture == capture.id]
