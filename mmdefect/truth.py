"""What a card says about the truth of each part: its label, its split, its boxes, what it teaches.

Folders named after kinds need none of this. Data sets that keep their labels in masks or box
lists, or their splits in a table, say so here, and so do those without a single good part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmdefect.assign import Assign
from mmdefect.boxes import COLUMNS, check_columns
from mmdefect.errors import CardError

LABELS_FROM = ("kinds", "truth")


@dataclass(frozen=True)
class Truth:
    """The fields of a card that concern the truth.

    Parameters
    ----------
    labels : str
        ``kinds``: a part is good or defective by its folder; ``truth``: by its mask or boxes, and
        a part that has neither is left out.
    assign : Assign
        Splits of files whose folders do not name one.
    box_columns : tuple of str
        What the numbers in a row of a box list are.
    box_origin : float
        The coordinate of the first pixel in a box list.
    good_pixels : float or None
        When set, defective captures outside the test split teach too: those of their pixels that
        lie farther than so many pixels of the reference from every marked defect.
    """

    labels: str = LABELS_FROM[0]
    assign: Assign = field(default_factory=Assign)
    box_columns: tuple[str, ...] = COLUMNS
    box_origin: float = 1.0
    good_pixels: float | None = None


def read_truth(written: Mapping[str, Any], where: str) -> Truth:
    """Read the fields from a parsed card.

    Parameters
    ----------
    written : mapping
        The whole card; its tables are tables and hold known keys only.
    where : str
        The card's name, for messages.

    Returns
    -------
    Truth

    Raises
    ------
    CardError
        When a field is not of its kind.
    """
    boxes, labels = written.get("boxes", {}), written.get("labels", LABELS_FROM[0])
    if labels not in LABELS_FROM:
        raise CardError(
            f"card {where!r}: labels is {labels!r}; there are: {', '.join(LABELS_FROM)}"
        )
    margin = written.get("learn", {}).get("good_pixels")
    globs = {
        role: _texts(paths, f"[assign] {role}", where)
        for role, paths in written.get("assign", {}).items()
    }
    (table,) = globs.pop("table", ("",))[:1]
    return Truth(
        labels=labels,
        assign=Assign(globs, table),
        box_columns=check_columns(_texts(boxes.get("columns", COLUMNS), "[boxes] columns", where)),
        box_origin=_pixels(boxes.get("origin", 1), "[boxes] origin", where),
        good_pixels=None if margin is None else _pixels(margin, "[learn] good_pixels", where),
    )


def truth_written(truth: Truth) -> dict[str, Any]:
    """Give the fields as a card has them.

    Parameters
    ----------
    truth : Truth

    Returns
    -------
    dict
        Of what JSON and TOML can hold.
    """
    assign = {role: list(globs) for role, globs in truth.assign.globs.items()}
    table = {"table": truth.assign.table} if truth.assign.table else {}
    return {
        "labels": truth.labels,
        "assign": assign | table,
        "boxes": {"columns": list(truth.box_columns), "origin": truth.box_origin},
        "learn": {} if truth.good_pixels is None else {"good_pixels": truth.good_pixels},
    }


def _texts(value: Any, what: str, where: str) -> tuple[str, ...]:
    """Take one text or a list of texts."""
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise CardError(f"card {where!r}: {what} must be a text or a list of texts, got {value!r}")
    return tuple(texts)


def _pixels(value: Any, what: str, where: str) -> float:
    """Take a number of pixels."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise CardError(f"card {where!r}: {what} is {value!r}; pixels from 0 up were promised")
    return float(value)
