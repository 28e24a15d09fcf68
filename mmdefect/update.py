"""Later changes of a model: another false-alarm rate, further good parts.

* A rate is changed without learning: the calibration holds every good part's score.
* Further good parts are divided by their content: the share of them that the model's own parts
  were calibrated with calibrates, the rest is learnt from. A part that is there already is
  refused, so that none is ever on both sides.
* What is learnt can lower scores but not raise them, so the calibration that is there stays an
  upper bound and the false-alarm rate holds (`mmdefect.contracts.Updatable`). The price: with
  every update the old part of the calibration is a little stricter on false alarms, and so a
  little blinder, than a fit from the beginning would be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from mmdefect.captures import Capture, Refusal
from mmdefect.cards import Card, SensorEntry, read_card
from mmdefect.dataset import Dataset
from mmdefect.division import calibrates
from mmdefect.errors import CardError, MmdefectError, ModelError
from mmdefect.inspection import Inspection
from mmdefect.line import Finder
from mmdefect.model import Change, ModelFolder, Origin, content_of
from mmdefect.reading import FrameReader
from mmdefect.referral import Referral
from mmdefect.registry import load

_OF_THE_RIG = ("reference", "registered", "rig", "files", "background", "pad", "zones")


class Updated(NamedTuple):
    """What an update did."""

    change: Change
    refused: list[Refusal]


def set_false_alarm(
    model: str | Path, false_alarm: float | None = None, referral: Referral | None = None
) -> Change:
    """Change the false-alarm rate of a model, or what it refers; nothing is learnt.

    Parameters
    ----------
    model : str or Path
    false_alarm : float, optional
        In (0, 1); stays where it is not given.
    referral : Referral, optional
        The band of p-values that is referred; stays where it is not given.

    Returns
    -------
    Change

    Raises
    ------
    ModelError
        When the model cannot be read or written.
    ValueError
        When the rate is none.
    """
    if false_alarm is not None and not 0 < false_alarm < 1:
        raise ValueError(f"false_alarm is {false_alarm}; a rate between 0 and 1 was promised")
    band = None if referral is None else referral.state()
    return ModelFolder(Path(model)).change("threshold", false_alarm=false_alarm, referral=band)


def update(model: str | Path, card: Card | str | Path, good: Sequence[str | Path]) -> Updated:
    """Take further good parts into a model.

    Parameters
    ----------
    model : str or Path
    card : Card, str or Path
        The grammar of the paths, with the sensors and the units of the model's own card.
    good : sequence of str or Path
        Folders of captures, or frames, of parts that someone knows to be good.

    Returns
    -------
    Updated

    Raises
    ------
    MmdefectError
        When the model cannot be read or updated, the card is of another rig, or no new part was
        found.
    """
    inspection = Inspection.load(model)
    origin, folder = inspection.origin_, inspection.model_
    if origin is None or folder is None:
        raise ModelError("the model was fitted on scenes without a card; update it in Python")
    finder = Finder(origin, _of_the_rig(card, origin))
    learnt, calibration, refused = _gather(finder, origin, good)
    if not learnt and not calibration:
        first = f": {refused[0].capture}: {refused[0].why}" if refused else ""
        raise MmdefectError(f"no new good part was found{first}; the model stays as it is")
    taken = inspection.update(_Together(learnt), _Together(calibration))
    inspection.origin_ = replace(
        origin,
        fit=[*origin.fit, *(part.digests for part in learnt)],
        calibration=[*origin.calibration, *(part.digests for part in calibration)],
    )
    told = {
        "learnt_from": len(learnt),
        "calibrated_with": len(calibration),
        "patches": taken,
        "captures": sorted(part.capture.id for part in [*learnt, *calibration]),
    }
    content, _ = content_of(inspection.learnt())
    return Updated(folder.change("update", content=content, told=told), refused)


class _Part(NamedTuple):
    """A further good part."""

    dataset: Dataset
    capture: Capture
    digests: list[str]


class _Together:
    """Scenes of parts of several data sets."""

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[xr.Dataset]:
        return (part.dataset.scene(part.capture) for part in self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _of_the_rig(card: Card | str | Path, origin: Origin) -> Card:
    """Take the grammar of a card and the rig of the model, where they are of one rig."""
    own, given = origin.card, card if isinstance(card, Card) else read_card(card)
    sensors = dict(given.sensors)
    for name in origin.sensors:
        if name not in given.sensors:
            raise CardError(
                f"the model has the sensors {', '.join(origin.sensors)}, but the card "
                f"{given.name!r} has {', '.join(given.sensors)}; give a card of the same rig"
            )
        entry, learnt = given.sensors[name], own.sensors[name]
        sensors[name] = replace(entry, options=_options_by_the_rig(entry, learnt))
        units = [
            (told.adapter, FrameReader(card, Path(), []).adapter(name).unit_read)
            for told, card in ((learnt, own), (entry, replace(own, sensors=sensors)))
        ]
        if units[0] != units[1]:
            raise CardError(
                f"{name!r} is {units[1][0]} in {units[1][1]!r} by the card {given.name!r}, but "
                f"{units[0][0]} in {units[0][1]!r} was learnt; give a card of the same rig"
            )
    return replace(
        given,
        sensors=sensors,
        **{name: getattr(own, name) for name in _OF_THE_RIG},
    )


def _options_by_the_rig(entry: SensorEntry, learnt: SensorEntry) -> dict[str, Any]:
    """Take a card's options, but the model's flats, darks and maps of bad pixels."""
    files = getattr(load("sensors", entry.adapter), "files", ())
    kept = {k: v for k, v in entry.options.items() if k not in files or not isinstance(v, str)}
    return kept | {k: v for k, v in learnt.options.items() if k in files and isinstance(v, str)}


def _gather(
    finder: Finder, origin: Origin, good: Sequence[str | Path]
) -> tuple[list[_Part], list[_Part], list[Refusal]]:
    """Find the new parts, and divide them by their content."""
    known = {digest for part in [*origin.fit, *origin.calibration] for digest in part}
    share = len(origin.calibration) / max(1, len(origin.fit) + len(origin.calibration))
    sides: tuple[list[_Part], list[_Part]] = ([], [])
    refused: list[Refusal] = []
    for path in good:
        dataset, captures, others = finder.captures(Path(path))
        refused += others
        for capture, digests in zip(captures, dataset.parts(captures), strict=True):
            why = _unfit(dataset, capture, known & set(digests))
            if why:
                refused.append(Refusal(capture.id, "", "", why))
                continue
            known |= set(digests)
            sides[calibrates(digests, share)].append(_Part(dataset, capture, digests))
    return sides[0], sides[1], refused


def _unfit(dataset: Dataset, capture: Capture, twins: set[str]) -> str:
    """Say why a part cannot be taken in; nothing where it can."""
    if twins:
        return "a frame of it is in the model already; a part is learnt from once"
    try:
        scene = dataset.scene(capture)
    except MmdefectError as error:
        return str(error)
    broken = [refusal for refusal in dataset.refused if refusal.capture == capture.id]
    if broken:
        return f"{broken[0].file}: {broken[0].why}"
    return "" if bool(scene["valid"].any()) else "no sensor measured anything"
