"""Captures judged by many processes, here or on other machines, by dask.distributed.

* Every worker gets the fitted model once, as bytes, and finds the captures itself: what travels
  afterwards is a capture's name there, and its maps and pictures back.
* A worker that joins late, or takes the place of one that died, gets the model as it starts; the
  captures that died with a worker are judged again by another. Nothing else is lost.
* Results come back in the captures' order and only so many ahead, so that memory stays bounded
  and the journal of unfinished work is that of a run without workers.
* Each worker judges one capture at a time with as many threads as this process would, because
  sums in another order end in other bits.
"""

import tempfile
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdefect import __version__
from mmdefect.captures import Capture
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, MmdefectError, ModelError
from mmdefect.inspection import Inspection
from mmdefect.judged import CaptureJudge, Hands, Judged, OwnHands

_AHEAD = 2
_PATIENCE_S = 30


@contextmanager
def hired(workers: int = 0, scheduler: str = "") -> Iterator[Hands]:
    """Get hands: those of this process, of a local cluster, or of a cluster that is there.

    Parameters
    ----------
    workers : int
        Processes of a local cluster, one capture at a time each; none when 0.
    scheduler : str
        Address of a dask scheduler, ``tcp://host:port``.

    Yields
    ------
    Hands

    Raises
    ------
    CardError
        When both are given, the number is negative, dask.distributed is not installed, or the
        scheduler does not answer, has no worker, or has one with another mmdefect.
    """
    if workers < 0 or (workers and scheduler):
        raise CardError(
            f"workers={workers} and scheduler={scheduler!r} were given, but either a number of "
            "local processes or one address is wanted: leave one out"
        )
    if not workers and not scheduler:
        yield OwnHands()
        return
    distributed = _distributed()
    if scheduler:
        with _called(distributed, scheduler) as client:
            yield Workers(client)
        return
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield Workers(client)


class Workers:
    """The workers of a dask cluster.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    def judged(self, judge: CaptureJudge, captures: Sequence[Capture]) -> Iterator[Judged]:
        """Judge captures, as ``Hands`` says.

        Parameters
        ----------
        judge : CaptureJudge
        captures : sequence of Capture

        Yields
        ------
        Judged

        Raises
        ------
        MmdefectError
            When a capture ended several workers one after the other, or the cluster is gone.
        """
        key = uuid.uuid4().hex
        self.client.register_plugin(_plugin(key, Assignment.of(judge)), name=key)
        waiting: deque[tuple[Capture, Any]] = deque()
        try:
            for capture in captures:
                told = self.client.submit(_judged, key, capture.category, capture.id, pure=False)
                waiting.append((capture, told))
                if len(waiting) > _AHEAD * max(1, len(self.client.nthreads())):
                    yield self._result(*waiting.popleft())
            while waiting:
                yield self._result(*waiting.popleft())
        finally:
            for _, told in waiting:
                told.cancel()
            with suppress(Exception):
                self.client.unregister_worker_plugin(key)

    def _result(self, capture: Capture, told: Any) -> Judged:
        """Wait for a capture's result."""
        from distributed import KilledWorker

        try:
            judged: Judged = told.result()
        except KilledWorker as error:
            raise MmdefectError(
                f"{capture.id}: several workers ended while they judged it, the last of them "
                f"{error.last_worker.address}; a worker that runs out of memory ends so. What "
                "was judged is kept: start fewer workers, or without, and it goes on"
            ) from error
        except (OSError, TimeoutError) as error:
            raise MmdefectError(
                f"the cluster cannot be reached any more ({error}); what was judged is kept: "
                "start again and it goes on"
            ) from error
        return judged


@dataclass(frozen=True)
class Assignment:
    """What a worker needs for the captures of one category.

    Parameters
    ----------
    found : callable
        Finds the data set.
    model : dict of str to bytes
        The files of the model's folder.
    knows_good, viewer : bool
        As ``CaptureJudge`` has them.
    threads : int
        Threads that a sum may be split among.
    """

    found: Callable[[], Dataset]
    model: dict[str, bytes]
    knows_good: bool
    viewer: bool
    threads: int

    @classmethod
    def of(cls, judge: CaptureJudge) -> "Assignment":
        """Write down what a judge knows, whose inspection is saved."""
        import torch

        folder = judge.inspection.model_
        if folder is None:
            raise ModelError("the inspection is not saved, but workers are sent a model: save it")
        model = {
            path.relative_to(folder.path).as_posix(): path.read_bytes()
            for path in folder.path.rglob("*")
            if path.is_file()
        }
        return cls(
            judge.dataset.finder(), model, judge.knows_good, judge.viewer, torch.get_num_threads()
        )

    def judge(self) -> CaptureJudge:
        """Make the judge, in a worker."""
        import torch

        torch.set_num_threads(self.threads)
        with tempfile.TemporaryDirectory() as made:
            for name, content in self.model.items():
                path = Path(made) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            inspection = Inspection.load(made)
        return CaptureJudge(self.found(), inspection, self.knows_good, self.viewer)


class _Desk:
    """Where a worker's process keeps what it was assigned."""

    def __init__(self) -> None:
        self.assignments: dict[str, Assignment] = {}
        self.lock = threading.Lock()
        self._key = ""
        self._judge: CaptureJudge | None = None
        self._captures: dict[str, Capture] = {}

    def judged(self, key: str, category: str, name: str) -> Judged:
        """Judge a capture by an assignment, whose judge is made when it is first asked for."""
        if self._judge is None or self._key != key:
            self._judge, self._key = self.assignments[key].judge(), key
            found = self._judge.dataset.captures(category)
            self._captures = {capture.id: capture for capture in found}
        if name not in self._captures:
            raise CardError(
                f"{name}: a worker does not find it below '{self._judge.dataset.root}', but "
                "workers have to see the same files at the same place; share the folder"
            )
        return self._judge(self._captures[name])

    def clear(self, key: str) -> None:
        """Forget an assignment."""
        self.assignments.pop(key, None)
        if self._key == key:
            self._judge = None


_DESK = _Desk()


def _judged(key: str, category: str, name: str) -> Judged:
    """Judge one capture, in a worker."""
    with _DESK.lock:
        return _DESK.judged(key, category, name)


def _plugin(key: str, assignment: Assignment) -> Any:
    """Make what brings an assignment to every worker, also to those that come later."""
    from distributed import WorkerPlugin

    class Bringer(WorkerPlugin):
        """Puts the assignment on a worker's desk, and takes it away in the end."""

        def setup(self, worker: Any) -> None:
            from mmdefect.hands import _DESK

            _DESK.assignments[key] = assignment

        def teardown(self, worker: Any) -> None:
            from mmdefect.hands import _DESK

            _DESK.clear(key)

    return Bringer()


def _distributed() -> Any:
    """Import dask.distributed, or say how to get it."""
    try:
        import distributed
    except ImportError as error:
        raise CardError(
            "workers are dask.distributed's, which is not installed; install "
            "'mmdefect[distributed]'"
        ) from error
    return distributed


@contextmanager
def _called(distributed: Any, address: str) -> Iterator[Any]:
    """Call a scheduler, and make sure that its workers can do this work."""
    try:
        client = distributed.Client(address, timeout=_PATIENCE_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise CardError(
            f"no dask scheduler answers at {address!r} ({error}); start one with 'dask scheduler' "
            "and give the address that it tells"
        ) from error
    with client:
        _check_workers(client, address)
        yield client


def _check_workers(client: Any, address: str) -> None:
    """Refuse a cluster without workers, or with another version of this package."""
    try:
        found = client.run(_version)
    except Exception as error:
        raise CardError(
            f"a worker at {address!r} cannot import mmdefect ({error}); install version "
            f"{__version__} where the workers run"
        ) from error
    if not found:
        raise CardError(
            f"the scheduler at {address!r} has no worker; start some with 'dask worker {address} "
            "--nthreads 1'"
        )
    others = {worker: version for worker, version in found.items() if version != __version__}
    if others:
        worker, version = next(iter(others.items()))
        raise CardError(
            f"the worker {worker} has mmdefect {version}, but this is {__version__}: install the "
            "same version everywhere"
        )


def _version() -> str:
    """Tell a worker's version."""
    return __version__
