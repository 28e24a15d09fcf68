"""Captures judged by a model, as they come: what ``mmdefect inspect`` prints, line by line.

* A path is a folder in the grammar of the model's card, or any one frame of a capture; the others
  are found beside it. The folders above the path may belong to the grammar.
* Every capture gives one line, whatever happens to it: one that cannot be judged says why.
* Labels and masks that may lie there are not looked at.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from mmdefect.captures import FRAME_SUFFIXES, STACK, Capture, Refusal
from mmdefect.cards import Card
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError, MmdefectError, ModelError
from mmdefect.inspection import Inspection
from mmdefect.layout import BOXES, MASK, Slot
from mmdefect.marked import refer_all
from mmdefect.model import Origin
from mmdefect.records import record_of, region_rows
from mmdefect.reliability import Reliability
from mmdefect.truth import Truth

Row = dict[str, Any]

_MOST_ABOVE = 8
_MOST_PROBES = 50


class Finder:
    """Finds the captures that paths lead to, as a model sees them.

    Parameters
    ----------
    origin : Origin
        What the model learnt from.
    card : Card, optional
        The grammar of the paths; the model's own by default.
    """

    def __init__(self, origin: Origin, card: Card | None = None) -> None:
        self.origin = origin
        self.card = without_truth(card or origin.card)
        self._seen: dict[Path, Dataset] = {}
        self._given: set[frozenset[Path]] = set()

    def captures(self, path: Path) -> tuple[Dataset, list[Capture], list[Refusal]]:
        """Find the captures of a path that were not given before.

        Parameters
        ----------
        path : Path
            A folder, or a frame.

        Returns
        -------
        Dataset
        list of Capture
            Without masks.
        list of Refusal
            Captures of another kind of part.

        Raises
        ------
        CardError
            When the path leads to no capture.
        """
        path = path.absolute()
        root, below = self._place(path)
        if below not in self._seen:
            self._seen[below] = Dataset(
                self.card, root, sensors=self.origin.sensors, learnt=self.origin, below=below
            )
        dataset = self._seen[below]
        found = [
            replace(capture, mask=None, boxes=None)
            for category in dataset.categories
            for capture in dataset.captures(category)
            if any(frame.is_relative_to(path) for frame in capture.frames.values())
        ]
        new = [c for c in found if frozenset(c.frames.values()) not in self._given]
        self._given |= {frozenset(capture.frames.values()) for capture in new}
        return dataset, *self._of_this_part(new)

    def _of_this_part(self, captures: list[Capture]) -> tuple[list[Capture], list[Refusal]]:
        """Keep the model's kind of part, where the folders tell kinds of parts apart."""
        category = self.origin.category
        if not any(capture.category == category for capture in captures):
            return captures, []
        others = [
            Refusal(c.id, "", "", f"{c.category!r} was found, but the model knows {category!r}")
            for c in captures
            if c.category != category
        ]
        return [c for c in captures if c.category == category], others

    def _place(self, path: Path) -> tuple[Path, Path]:
        """Find the root that a path is to be read from, and the folder that holds its captures."""
        if not path.exists():
            raise CardError(f"'{path}' is not there; give a folder of captures, or a frame")
        frame = path.is_file() or path.suffix == STACK
        probes = [path] if frame else list(islice(_frames(path), _MOST_PROBES))
        roots = [*([] if frame else [path]), *list(path.parents)[:_MOST_ABOVE]]
        found = [
            (root, probe.relative_to(root), slot)
            for root in roots
            for probe in probes
            if (slot := self._slot(root, probe)) is not None
        ]
        if not found:
            patterns = [pattern for group in self.card.frames.values() for pattern in group]
            raise CardError(
                f"'{path}' leads to no capture of the model's card {self.card.name!r}; it looks "
                f"for {'; '.join(patterns)}"
            )
        own = [place for place in found if place[2].category == self.origin.category]
        root, relative, slot = (own or found)[0]
        around = self._around(root, relative, slot.target)
        return root, around if path.is_relative_to(around) else path

    def _slot(self, root: Path, probe: Path) -> Slot | None:
        """Read a frame's place from a root; None where it has none."""
        slot = self.card.layout.match(probe.relative_to(root).as_posix(), root.name)
        there = () if slot is None else self.card.layout.targets(slot.target)
        return slot if set(there) & set(self.origin.sensors) else None

    def _around(self, root: Path, relative: Path, sensor: str) -> Path:
        """Find the folder that holds the other sensors' frames too."""
        folders = self.card.sensors[sensor].folders
        above = list(relative.parents)  # the frame's folder first, the root last
        named = [folder for folder in above if folder.name in folders]
        return root / named[0].parent if named else root


def without_truth(card: Card) -> Card:
    """Give a card that looks for no label: lists and tables of the truth are not there to read.

    Parameters
    ----------
    card : Card

    Returns
    -------
    Card
    """
    frames = {target: held for target, held in card.frames.items() if target != BOXES}
    return replace(card, frames=frames, truth=Truth())


def _frames(folder: Path) -> Iterator[Path]:
    """Go through the files that could be frames."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in FRAME_SUFFIXES)
    return (p for p in found if p.is_file() or p.suffix == STACK)


def inspect(model: Inspection | str | Path, paths: Iterable[str | Path]) -> Iterator[Row]:
    """Judge captures one after the other.

    Parameters
    ----------
    model : Inspection, str or Path
        One that was loaded, or a model's folder.
    paths : iterable of str or Path
        Folders in the grammar of the model's card, or frames.

    Yields
    ------
    dict
        One per capture: ``capture``, ``verdict``, ``image_score``, ``p_value``, ``threshold``,
        ``sensors``, ``regions``, ``files``, ``seconds``, ``refused``, ``model``; see
        ``docs/model-format.md``. A path that leads to nothing gives a line without a verdict.

    Raises
    ------
    ModelError
        When the model carries no card, or cannot be read.
    """
    inspection, digest = loaded(model)
    for found in found_below(inspection, paths):
        if isinstance(found, Refusal):
            yield unjudged(found, digest)
        else:
            yield {**judged(inspection, *found), "model": digest}


def loaded(model: Inspection | str | Path) -> tuple[Inspection, str | None]:
    """Load a model that carries a card, and tell its hash."""
    inspection = model if isinstance(model, Inspection) else Inspection.load(model)
    if inspection.origin_ is None:
        raise ModelError(
            "the model was fitted on scenes without a card, so that no file can be read for it; "
            "fit it with 'mmdefect fit', or on the scenes of a Dataset"
        )
    return inspection, inspection.model_.hash if inspection.model_ else None


def found_below(
    inspection: Inspection, paths: Iterable[str | Path]
) -> Iterator[tuple[Dataset, Capture] | Refusal]:
    """Go through the captures that paths lead to, and through what is none."""
    assert inspection.origin_ is not None
    finder = Finder(inspection.origin_)
    for path in paths:
        try:
            dataset, captures, others = finder.captures(Path(path))
        except MmdefectError as error:
            yield Refusal(str(path), "", str(path), str(error))
            continue
        yield from others
        yield from ((dataset, capture) for capture in captures)


def judged(
    inspection: Inspection,
    dataset: Dataset,
    capture: Capture,
    reliability: Reliability | None = None,
    *,
    whole: bool = False,
) -> Row:
    """Judge one capture.

    Parameters
    ----------
    inspection : Inspection
    dataset : Dataset
        That reads it.
    capture : Capture
    reliability : Reliability, optional
        That watches the sensors of captures judged in their order.
    whole : bool
        Whether to judge it only when every frame that is there can be used; else no score is
        taken, and the line says what was refused.

    Returns
    -------
    dict
        A line of `inspect`, without ``model``.
    """
    started = time.perf_counter()
    files = {name: str(path) for name, path in capture.frames.items()}
    try:
        scene = dataset.scene(capture)
        refused = [r for r in dataset.refused if r.capture == capture.id and r.sensor != MASK]
        if whole and refused:
            why = [reason(refusal) for refusal in refused]
            blank = unjudged(refused[0], None)
            return {**blank, "verdict": "not_inspectable", "files": files, "refused": why}
        prediction = inspection.predict(scene, reliability)
    except MmdefectError as error:
        refusal = Refusal(capture.id, "", "", str(error))
        return {**unjudged(refusal, None), "verdict": "not_inspectable", "files": files}
    told = record_of(prediction)
    if inspection.origin_ is not None and not inspection.origin_.knows_good:
        refer_all(told)
    valid = scene["valid"].mean(["y", "x"])
    for name, own in told["sensors"].items():
        own["valid"] = float(valid.sel(sensor=name))
    return {
        "capture": capture.id,
        **told,
        "regions": region_rows(inspection.regions(scene, prediction)),
        "files": files,
        "seconds": time.perf_counter() - started,
        "refused": [reason(refusal) for refusal in refused],
    }


def unjudged(refusal: Refusal, digest: str | None) -> Row:
    """Tell of something that could not be judged.

    Parameters
    ----------
    refusal : Refusal
    digest : str or None
        The model's hash.

    Returns
    -------
    dict
        A line of `inspect` without a verdict.
    """
    return {
        "capture": refusal.capture,
        "verdict": None,
        "image_score": None,
        "p_value": None,
        "threshold": None,
        "sensors": {},
        "regions": [],
        "files": {},
        "seconds": None,
        "refused": [reason(refusal)],
        "model": digest,
    }


def reason(refusal: Refusal) -> Row:
    """Tell why something was refused."""
    return {"sensor": refusal.sensor, "file": refusal.file, "why": refusal.why}
