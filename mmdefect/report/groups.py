"""Which captures come first: what a verdict got wrong, and how surprising that is.

A defect that passed costs more than a good part that is looked at twice, so missed defects lead.
Inside a group the most surprising come first: the defect that looked most like a good part, the
good part that looked least like one.
"""

import math
from typing import Any

Row = dict[str, Any]

GROUPS = {
    "missed": "Missed defects",
    "false_alarm": "False alarms",
    "refer": "Referred to a person",
    "not_inspectable": "Not inspectable",
    "found": "Defects found",
    "passed": "Good parts passed",
}
"""Headings by group, in the order of the page."""

_OF_JUDGED = {
    ("defect", "good"): "missed",
    ("good", "defect"): "false_alarm",
    ("defect", "defect"): "found",
    ("good", "good"): "passed",
}


def group_of(record: Row) -> str:
    """Tell which group of the page a capture belongs to.

    Parameters
    ----------
    record : dict
        With ``label`` and ``verdict``.

    Returns
    -------
    str
        One of ``GROUPS``.

    Raises
    ------
    ValueError
        When the label or the verdict is none that there is.
    """
    if record["verdict"] in ("refer", "not_inspectable"):
        return str(record["verdict"])
    judged = (record["label"], record["verdict"])
    if judged not in _OF_JUDGED:
        raise ValueError(
            f"label {judged[0]!r} with verdict {judged[1]!r} was found; labels are good and "
            "defect, verdicts are good, defect, refer and not_inspectable"
        )
    return _OF_JUDGED[judged]


def mistake_rank(record: Row) -> tuple[int, float, float, str]:
    """Give the key that sorts captures, mistakes first.

    Parameters
    ----------
    record : dict
        One of ``results["captures"]``.

    Returns
    -------
    tuple
        The group's place: missed defects, false alarms, ``refer``, ``not_inspectable``, defects
        found, good parts passed. Then p-value and image score so that the most surprising come
        first and captures without them last, then the name.

    Examples
    --------
    >>> missed = {"capture": "a", "label": "defect", "verdict": "good", "p_value": 0.3,
    ...           "image_score": 1.0}
    >>> right = {**missed, "verdict": "defect"}
    >>> mistake_rank(missed) < mistake_rank(right)
    True
    """
    place = list(GROUPS).index(group_of(record))
    sign = -1.0 if record["label"] == "defect" else 1.0
    ranked = (sign * _known(record["p_value"]), -sign * _known(record["image_score"]))
    first, second = (math.inf if math.isnan(key) else key for key in ranked)
    return place, first, second, str(record["capture"])


def _known(value: float | None) -> float:
    return math.nan if value is None else value
