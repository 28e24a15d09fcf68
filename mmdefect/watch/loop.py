"""The watcher: from a folder that fills to one line a capture, never twice, none left out.

The order of steps is the promise. A capture is judged, its line is put on disk, and only then is
it told. Killed before the line is on disk, the watcher judges the capture again after a restart,
and nobody heard of the first time; killed after it, the journal knows the capture. What is read
of a capture that arrived incomplete is judged by the sensors that are there, and says which are
missing; frames that come later do not give it a second verdict.
"""

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmdefect.captures import FRAME_SUFFIXES, Capture, Refusal, capture_of
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, JournalError, ModelError
from mmdefect.inspection import Inspection
from mmdefect.journal import Journal
from mmdefect.line import judged, unjudged, without_truth
from mmdefect.watch.arrivals import Arrivals, Stamp
from mmdefect.watch.folder import Notices, walked
from mmdefect.watch.places import Place, Places, wanted_sensors

Row = dict[str, Any]
Key = tuple[int | str, ...]

_SHORTEST, _LONGEST = 0.01, 0.5


@dataclass(frozen=True)
class Patience:
    """How long the watcher waits for what, in seconds.

    ``settle``: a file must not have changed for so long. ``timeout``: a capture about which nothing
    has changed for so long is judged as it is. ``rescan``: between two walks through the folder.
    """

    settle: float = 1.0
    timeout: float = 30.0
    rescan: float = 10.0


class Watch:
    """Judges the captures of a folder as they become complete.

    Parameters
    ----------
    folder : Path
        Nothing is written into it.
    inspection : Inspection
        Loaded from a model that carries a card.
    journal : Journal
        What it holds was judged before.
    patience : Patience, optional
    note : callable, optional
        Takes texts for the operator.
    run_length : float
        Captures between two false alarms of one sensor's monitor, on average at least; 0 for no
        monitor.

    Raises
    ------
    CardError
        When there is no such folder.
    ModelError
        When the model carries no card.
    JournalError
        When the journal lies in the watched folder.
    """

    def __init__(
        self,
        folder: Path,
        inspection: Inspection,
        journal: Journal,
        patience: Patience | None = None,
        note: Callable[[str], None] = lambda _: None,
        run_length: float = 10_000,
    ) -> None:
        origin = inspection.origin_
        if origin is None:
            raise ModelError(
                "the model was fitted on scenes without a card, so that no file can be read for "
                "it; fit it with 'mmdefect fit', or on the scenes of a Dataset"
            )
        self.folder, self.inspection, self.journal = folder.absolute(), inspection, journal
        check_outside(journal.path, self.folder)
        self.patience, self.note = patience or Patience(), note
        self._origin, self._card = origin, without_truth(origin.card)
        needed, used = wanted_sensors(origin, self._card, self.folder)
        self._places = Places(self.folder, self._card, origin.category, used)
        self._arrivals = Arrivals(needed, self.patience.settle, self.patience.timeout)
        self._digest = inspection.model_.hash if inspection.model_ else None
        self._datasets: dict[tuple[Path, str], Dataset] = {}
        self._known: dict[Path, Stamp] = {}
        self._judged: set[Key] = set()
        self._stopped = self._told_of_no_place = False
        self._notices = Notices(self.folder)
        self._reliability = inspection.reliability(run_length) if run_length else None
        for row in journal.rows():
            self._remember(row)
            if self._reliability is not None and row.get("sensors"):
                own = row["sensors"]
                signs = {name: sensor.get("signs", ()) for name, sensor in own.items()}
                scores = {name: s.get("watched", s["score"]) for name, s in own.items()}
                self._reliability.pass_by(scores, signs)

    def __len__(self) -> int:
        """Count the captures that have their verdict."""
        return len(self._judged)

    def stop(self) -> None:
        """Stop after the capture in hand; may be called by a signal handler."""
        self._stopped = True
        self._notices.wake()

    def rows(self, *, once: bool = False) -> Iterator[Row]:
        """Judge what is there, then what comes.

        Parameters
        ----------
        once : bool
            Stop when everything that is there is judged, and nothing is waited for.

        Yields
        ------
        dict
            A line of ``mmdefect inspect`` with ``missing``, ``frames`` and ``judged``; it is in the
            journal already. See ``docs/rigs.md``.
        """
        next_walk = time.monotonic()
        with self._notices as notices:
            if notices.silent:
                self.note(
                    f"the system sends no notices ({notices.silent}); the folder is gone through "
                    f"every {self.patience.rescan:g} s"
                )
            while not self._stopped:
                paths, folders_changed = notices.taken()
                if folders_changed or time.monotonic() >= next_walk:
                    self._look(walked(self.folder))
                    next_walk = time.monotonic() + self.patience.rescan
                self._look(paths | set(self._arrivals.paths()))
                yield from self._ready()
                if once and not self._arrivals:
                    return
                notices.wait(self._pause(next_walk))

    def _pause(self, next_walk: float) -> float:
        """Tell how long nothing can happen that no notice tells of."""
        waiting = self.patience.settle / 4 if len(self._arrivals) else _LONGEST
        rest = min(waiting, next_walk - time.monotonic(), _LONGEST)
        return max(rest, _SHORTEST)

    def _look(self, paths: "Iterator[Path] | set[Path]") -> None:
        """Take note of files as they look now."""
        for path in paths:
            try:
                found = path.stat()
            except OSError:
                self._arrivals.forget(path)
                continue
            if not path.is_file():
                continue
            if (place := self._places.of(path)) is None:
                self._tell_of_no_place(path)
                continue
            stamp = Stamp(found.st_size, found.st_mtime_ns)
            if place.key not in self._judged:
                for target in self._card.layout.targets(place.slot.target):
                    if target in self._places.sensors:
                        self._arrivals.see(place.key, target, path, stamp, time.monotonic())
            elif self._known.get(path) != stamp:
                came = "changed" if path in self._known else "came"
                self._known[path] = stamp
                self.note(f"{path} {came} after its capture was judged, and is not looked at")

    def _tell_of_no_place(self, path: Path) -> None:
        """Say once that a picture is not what the card speaks of: the whole folder may not be."""
        if not self._told_of_no_place and path.suffix.lower() in FRAME_SUFFIXES:
            self._told_of_no_place = True
            patterns = "; ".join(p for group in self._card.frames.values() for p in group)
            self.note(
                f"{path} has no place in the model's card {self._card.name!r}, and no such file is "
                f"looked at; the card looks for {patterns}"
            )

    def _ready(self) -> Iterator[Row]:
        """Judge what is ready, one capture after the other."""
        for key in self._arrivals.ready(time.monotonic()):
            if self._stopped:
                return
            late = self._arrivals.late(key, time.monotonic())
            frames = self._arrivals.frames(key)
            row = self._judge(frames, whole=not late)
            if row["refused"] and not late and row["verdict"] is not None:
                self._arrivals.put_back(key)
                continue
            self.journal.write(row)
            self._arrivals.done(key)
            self._remember(row)
            yield row

    def _judge(self, frames: Any, *, whole: bool) -> Row:
        """Judge one capture, and tell with which files; not yet, if it must be whole and is not."""
        chosen = {sensor: next(iter(files)) for sensor, files in frames.items()}
        anyone = next(iter(chosen.values()))
        place = self._places.of(anyone)
        assert place is not None  # only files with a place are gathered
        capture = capture_of(self._card, place.slot, chosen, place.root)
        if self._places.foreign(anyone, place):
            why = f"{capture.category!r} was found, but the model knows {self._origin.category!r}"
            row = unjudged(Refusal(capture.id, "", "", why), None)
        else:
            dataset = self._dataset(place)
            row = self._safely_judged(dataset, capture, whole=whole)
            dataset.refused.clear()
        row["refused"] += [
            {"sensor": sensor, "file": str(other), "why": f"{chosen[sensor].name} is there too"}
            for sensor, files in frames.items()
            for other in list(files)[1:]
        ]
        return {
            **row,
            "model": self._digest,
            "missing": [name for name in self._origin.sensors if name not in chosen],
            "frames": self._written(frames),
            "judged": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }

    def _safely_judged(self, dataset: Dataset, capture: Capture, *, whole: bool) -> Row:
        """Judge a capture; a mistake of ours costs its verdict, and does not stop the line."""
        try:
            return judged(self.inspection, dataset, capture, self._reliability, whole=whole)
        except MemoryError:
            raise
        except Exception as error:
            self.note(traceback.format_exc())
            why = f"a mistake of this program: {type(error).__name__}: {error}"
            files = {name: str(path) for name, path in capture.frames.items()}
            row = unjudged(Refusal(capture.id, "", "", why), None)
            return {**row, "verdict": "not_inspectable", "files": files}

    def _written(self, frames: Any) -> list[Row]:
        """Tell of every file of a capture how it looked, by its path in the watched folder."""
        return [
            {
                "path": path.relative_to(self.folder).as_posix(),
                "bytes": stamp.size,
                "changed_ns": stamp.changed,
            }
            for files in frames.values()
            for path, stamp in files.items()
        ]

    def _remember(self, row: Row) -> None:
        """Know a capture by its files, wherever the folder is mounted now."""
        try:
            for frame in row["frames"]:
                path = self.folder / frame["path"]
                self._known[path] = Stamp(frame["bytes"], frame["changed_ns"])
                place = self._places.of(path)
                if place is not None:
                    self._judged.add(place.key)
        except (KeyError, TypeError) as error:
            raise JournalError(
                f"'{self.journal.path}' holds a line without the files it judged; it was not "
                "written by 'mmdefect watch': give another --journal"
            ) from error

    def _dataset(self, place: Place) -> Dataset:
        """Give the reader of captures of a root and a category, made when the first arrives."""
        known = (place.root, place.slot.category)
        if known not in self._datasets:
            self._datasets[known] = Dataset(
                self._card,
                place.root,
                sensors=self._origin.sensors,
                learnt=self._origin,
                below=self.folder,
            )
            for text in self._datasets[known].notes:
                self.note(text)
        return self._datasets[known]


def check_outside(journal: Path, folder: Path) -> None:
    """Refuse a journal in the watched folder, before it is made.

    Parameters
    ----------
    journal, folder : Path

    Raises
    ------
    CardError
        When there is no such folder.
    JournalError
        When the journal lies in it.
    """
    if not folder.is_dir():
        raise CardError(f"'{folder}' is no folder; give the folder that captures arrive in")
    if journal.resolve().is_relative_to(folder.resolve()):
        raise JournalError(
            f"'{journal}' lies in the watched folder, where nothing is ever written; choose "
            "another place with --journal"
        )


def watch(
    folder: str | Path,
    model: Inspection | str | Path,
    journal: str | Path,
    *,
    patience: Patience | None = None,
    once: bool = False,
) -> Iterator[Row]:
    """Judge the captures of a folder as they become complete, for ever or once.

    Parameters
    ----------
    folder : str or Path
        Where captures arrive, in the grammar of the model's card.
    model : Inspection, str or Path
    journal : str or Path
        The file of verdicts; goes on where it ends.
    patience : Patience, optional
    once : bool
        Stop when everything that is there is judged.

    Yields
    ------
    dict
        See `Watch.rows`.

    Raises
    ------
    MmdefectError
        See `Watch`.
    """
    check_outside(Path(journal), Path(folder))
    inspection = model if isinstance(model, Inspection) else Inspection.load(model)
    with Journal(Path(journal)) as opened:
        yield from Watch(Path(folder), inspection, opened, patience).rows(once=once)
