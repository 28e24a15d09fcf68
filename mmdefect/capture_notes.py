"""What is said of captures once they are found: sensors that lack, parts on both sides.

A mistake in names or folders is cheapest to mend before anything is learnt.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mmdefect.captures import Capture
from mmdefect.cards import Card
from mmdefect.errors import CardError


def nothing_found(card: Card, root: Path, sensors: Sequence[str]) -> CardError:
    """Make the error that tells what was looked for, and where.

    Parameters
    ----------
    card : Card
    root : Path
    sensors : sequence of str

    Returns
    -------
    CardError
    """
    patterns = [pattern for group in card.frames.values() for pattern in group]
    folders = [folder for name in sensors for folder in card.sensors[name].folders]
    return CardError(
        f"no capture below {root.name!r} for the card {card.name!r}; it looks for "
        f"{'; '.join(patterns)} with sensors in the folders {', '.join(folders)}"
    )


def wanted_sensors(card: Card, sensors: Sequence[str] | None) -> list[str]:
    """Hold the chosen sensors against a card's.

    Parameters
    ----------
    card : Card
    sensors : sequence of str or None
        All of the card's when None or empty.

    Returns
    -------
    list of str

    Raises
    ------
    CardError
        When the card has no sensor of that name.
    """
    unknown = [name for name in sensors or [] if name not in card.sensors]
    if unknown:
        raise CardError(
            f"no sensors named {str(unknown[0])!r}; the card {card.name!r} has: "
            f"{', '.join(card.sensors)}"
        )
    return list(sensors or card.sensors)


def check_stems(category: str, captures: Sequence[Capture]) -> None:
    """Refuse captures of which none has two sensors although two are there.

    Parameters
    ----------
    category : str
    captures : sequence of Capture

    Raises
    ------
    CardError
        The files of one capture do not have one name.
    """
    seen = sorted({name for capture in captures for name in capture.frames})
    if len(seen) < 2 or any(len(capture.frames) > 1 for capture in captures):
        return
    one, other = (next(c.name for c in captures if name in c.frames) for name in seen[:2])
    raise CardError(
        f"in {category!r} no capture has two sensors: {seen[0]!r} has files like {one!r}, "
        f"{seen[1]!r} like {other!r}; the frames of one capture must have one name, or say with "
        "--sensors which sensor to use"
    )


def series_on_both_sides(captures: Sequence[Capture]) -> list[str]:
    """Name the parts that are both learnt from and tested.

    Parameters
    ----------
    captures : sequence of Capture
        Of one category.

    Returns
    -------
    list of str
        Sorted names of series.
    """
    sides: dict[str, set[bool]] = {}
    for capture in captures:
        if capture.series:
            sides.setdefault(capture.series, set()).add(capture.split == "test")
    return sorted(series for series, found in sides.items() if len(found) > 1)


def notes_on(captures: Sequence[Capture], sensors: Iterable[str]) -> list[str]:
    """Tell what a reader of results should know: sensors that lack, parts on both sides.

    Parameters
    ----------
    captures : sequence of Capture
        Of one category.
    sensors : iterable of str

    Returns
    -------
    list of str
    """
    category, notes = captures[0].category, []
    for name in sensors:
        lacking = sum(name not in capture.frames for capture in captures)
        if lacking:
            notes.append(f"{category}: {lacking} of {len(captures)} captures have no {name} frame")
    both = series_on_both_sides(captures)
    if both:
        notes.append(
            f"{category}: captures of {', '.join(both[:3])} are both learnt from and tested; "
            "results are those of a known part"
        )
    return notes
