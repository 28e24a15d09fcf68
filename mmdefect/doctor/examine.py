"""One pass over a data set, and what all checks say of it.

Checks that need only names come first; then every capture is read once and shown to every check of
its category; copies are confirmed by a second look at the few frames that are suspected.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect.captures import Capture
from mmdefect.cards import Card
from mmdefect.dataset import Dataset
from mmdefect.doctor.bumped import BumpCheck
from mmdefect.doctor.contents import contents, sensor_findings, series_findings, split_findings
from mmdefect.doctor.copies import CopiesCheck
from mmdefect.doctor.drift import DriftCheck
from mmdefect.doctor.files import file_findings
from mmdefect.doctor.findings import (
    CHECKS,
    SEVERITIES,
    WRONG,
    Check,
    Finding,
    Seen,
    heaviest_first,
    natural,
)
from mmdefect.doctor.registered import RegistrationCheck
from mmdefect.doctor.truth import TruthCheck
from mmdefect.doctor.values import ValuesCheck
from mmdefect.errors import CardError
from mmdefect.plane import plane_of
from mmdefect.progress import track
from mmdefect.registration import read_rig

SCHEMA = 1


@dataclass(frozen=True)
class Examination:
    """What was looked at, and what was found.

    Attributes
    ----------
    card, root : str
        The card's name, and the folder's.
    contents : dict
        Captures by category, split and kind.
    sensors : dict
        By category and sensor: frames, units, usual values, share of invalid pixels.
    findings : list of Finding
        The gravest first.
    skipped : tuple of str
        Checks that were left out.
    """

    card: str
    root: str
    contents: dict[str, dict[str, dict[str, int]]]
    sensors: dict[str, dict[str, dict[str, Any]]]
    findings: list[Finding]
    skipped: tuple[str, ...] = ()

    @property
    def is_fit_for_training(self) -> bool:
        """Whether nothing was found that would make training wrong."""
        return all(finding.severity != WRONG for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Give everything as JSON can hold it."""
        counts = {
            severity: sum(f.severity == severity for f in self.findings) for severity in SEVERITIES
        }
        return {
            "schema": SCHEMA,
            "card": self.card,
            "root": self.root,
            "fit_for_training": self.is_fit_for_training,
            "skipped": list(self.skipped),
            "counts": counts,
            "contents": self.contents,
            "sensors": self.sensors,
            "findings": [finding.as_row() for finding in self.findings],
        }


def examine(
    card: Card | str | Path,
    root: str | Path,
    *,
    categories: Sequence[str] = (),
    sensors: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> Examination:
    """Examine a data set.

    Parameters
    ----------
    card : Card, str or Path
        A card, its name, or a TOML file.
    root : str or Path
        The folder of the captures; nothing is written there.
    categories : sequence of str
        Look at these only; at all when empty.
    sensors : sequence of str
        Look at these only; at all when empty.
    skip : sequence of str
        Checks to leave out; ``bump`` and ``copies`` take most of the time.

    Returns
    -------
    Examination

    Raises
    ------
    CardError
        When there is nothing to look at, or no such check.
    """
    dataset = Dataset(card, root, sensors=sensors or None)
    _refuse_unknown("category", categories, dataset.categories)
    _refuse_unknown("check", skip, CHECKS)
    chosen = list(dict.fromkeys(categories)) or dataset.categories
    findings: list[Finding] = []
    numbers: dict[str, dict[str, dict[str, Any]]] = {}
    for category in chosen:
        findings += split_findings(dataset, category)
        findings += series_findings(dataset, category)
        findings += sensor_findings(dataset, category)
        checks = _Checks(dataset, category, skip)
        findings += checks.findings()
        numbers[category] = {check.sensor: check.summary() for check in checks.values}
    findings += file_findings(dataset)
    return Examination(
        dataset.card.name,
        dataset.root.resolve().name,
        {category: contents(dataset, category) for category in chosen},
        numbers,
        heaviest_first([finding for finding in findings if finding.check not in skip]),
        tuple(name for name in CHECKS if name in skip),
    )


def _refuse_unknown(what: str, asked: Sequence[str], there: Sequence[str]) -> None:
    """Refuse a name that is not there."""
    unknown = [name for name in asked if name not in there]
    if unknown:
        raise CardError(f"no {what} named {unknown[0]!r}; there are: {', '.join(there)}")


class _Checks:
    """The checks of one category that look at frames.

    Parameters
    ----------
    dataset : Dataset
    category : str
    skip : sequence of str
        Checks that need not look.
    """

    def __init__(self, dataset: Dataset, category: str, skip: Sequence[str] = ()) -> None:
        self._dataset = dataset
        self._category = category
        captures = dataset.captures(category)
        self._captures = sorted(captures, key=lambda c: (c.split, c.kind, natural(c.name)))
        reference, there = dataset.reference(category), dataset.sensors(category)
        self.values = [ValuesCheck(category, name) for name in there]
        registered = [name for name in dataset.card.registered if name in there]
        optional: dict[str, Callable[[], Iterable[Check]]] = {
            "truth": lambda: [TruthCheck(category, reference)],
            "drift": lambda: [DriftCheck(category)],
            "registration": lambda: (
                RegistrationCheck(category, name, reference)
                for name in registered
                if name != reference
            ),
            "bump": lambda: self._bumps(reference, there),
            "copies": lambda: (
                CopiesCheck(category, name, self._captures, self._again) for name in there
            ),
        }
        self._all: list[Check] = [*self.values]
        for name, made in optional.items():
            self._all += [] if name in skip else made()

    def _bumps(self, reference: str, there: list[str]) -> list[BumpCheck]:
        """Watch every sensor that is said to lie on the reference's grid."""
        card = self._dataset.card
        rig = read_rig(card.files[card.rig]) if card.rig else None
        seated = {*card.registered, *(rig.cameras if rig is not None else ())}
        training = [
            capture
            for capture in self._captures
            if capture.split == "train" and capture.label == "good" and not capture.series
        ]
        return [
            BumpCheck(self._category, name, reference, training, self._dataset.frames, rig)
            for name in there
            if name in seated and name != reference and reference in there
        ]

    def findings(self) -> Iterator[Finding]:
        """Read every capture once, then say what was found."""
        for capture in track(self._captures, len(self._captures), f"reading {self._category}"):
            seen = Seen(capture, self._dataset.frames(capture))
            for check in self._all:
                check.look(seen)
        for check in self._all:
            yield from check.findings()

    def _again(self, capture: Capture, sensor: str) -> np.ndarray | None:
        """Read one frame a second time."""
        frame = self._dataset.frames(capture, [sensor]).get(sensor)
        return None if frame is None else plane_of(frame)
