"""Numbers as people read them, the same on the page, in Markdown and on the console.

What is not known is a dash, never a zero.
"""

import math
from typing import Any, NamedTuple

Row = dict[str, Any]

UNKNOWN = "–"


class Column(NamedTuple):
    """One column of a table of metrics."""

    key: str
    heading: str
    meaning: str


COLUMNS = (
    Column("image_auroc", "image AUROC", "Chance that a defective part scores above a good one"),
    Column("image_ap", "image AP", "Average precision over parts"),
    Column("pixel_auroc", "pixel AUROC", "The same chance for pixels"),
    Column("pixel_ap", "pixel AP", "Average precision over pixels"),
    Column("aupro_30", "AUPRO@30", "Overlap per region, false-positive rate up to 30 %"),
    Column("aupro_05", "AUPRO@5", "Overlap per region, false-positive rate up to 5 %"),
    Column("precision", "precision", "Share of defective parts among those called defective"),
    Column("recall", "recall", "Share of the defective parts that were called defective"),
    Column("fpr", "FPR", "Overkill: share of the good parts that were called defective"),
    Column("fnr", "escapes", "Share of the defective parts that were not called defective"),
    Column("box_recall", "boxes hit", "Share of the boxes that a region of the map hits"),
    Column("false_boxes_per_frame", "false boxes", "Regions per frame that hit no box"),
    Column("seconds_per_capture", "s/capture", "Median time for one capture"),
    Column("peak_bytes", "peak memory", "Most memory the evaluation had held by then"),
)
"""What the table of rows shows, in this order."""

KIND_COLUMNS = tuple(
    column
    for column in COLUMNS
    if column.key in ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro_30", "recall")
)
"""What the table per kind of defect shows."""


_SOMETIMES = ("box_recall", "false_boxes_per_frame")


def columns_of(rows: list[Row]) -> tuple[Column, ...]:
    """Choose the columns of a table: those of boxes only where some row has them.

    Parameters
    ----------
    rows : list of dict

    Returns
    -------
    tuple of Column
    """
    return tuple(
        column
        for column in COLUMNS
        if column.key not in _SOMETIMES or any(row.get(column.key) is not None for row in rows)
    )


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with so many significant digits.

    Parameters
    ----------
    value : float or None
    digits : int

    Returns
    -------
    str
        A dash for None and NaN.

    Examples
    --------
    >>> number(12.3456), number(1234.5), number(0.04762), number(None)
    ('12.3', '1234', '0.0476', '–')
    """
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0 or abs(value) < 1e-4:
        return f"{value:.{digits - 1}g}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}".replace("-", "−")


def percent(share: float | None) -> str:
    """Write a share in percent.

    Parameters
    ----------
    share : float or None

    Returns
    -------
    str

    Examples
    --------
    >>> percent(0.0476), percent(0.05), percent(None)
    ('4.8 %', '5 %', '–')
    """
    if share is None or math.isnan(share):
        return UNKNOWN
    return f"{100 * share:.1f}".removesuffix(".0").replace("-", "−") + " %"


def ends(low: float, high: float) -> tuple[str, str]:
    """Write the two ends of a range with the digits that tell them apart.

    Parameters
    ----------
    low, high : float

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> ends(293.152, 296.871)
    ('293.15', '296.87')
    """
    span = high - low
    decimals = 2 if span <= 0 else min(6, max(0, 2 - math.floor(math.log10(span))))
    first, second = (f"{end:.{decimals}f}".replace("-", "−") for end in (low, high))
    return first, second


def figure(row: Row, key: str, digits: int = 3) -> tuple[str, str]:
    """Write one metric of a row and its interval.

    Parameters
    ----------
    row : dict
        One of ``results["rows"]``.
    key : str
        A metric, ``seconds_per_capture`` or ``peak_bytes``.
    digits : int
        Decimals of the interval.

    Returns
    -------
    str
        A dash where the metric is not defined.
    str
        ``[low–high]``; empty where there is none.
    """
    value = row.get(key)
    if value is None:
        return UNKNOWN, ""
    if key == "peak_bytes":
        return f"{value / 1e9:.1f} GB", ""
    if key == "seconds_per_capture":
        return number(value), ""
    interval = row.get("intervals", {}).get(key)
    if interval is None or None in interval:
        return f"{value:.3f}", ""
    return f"{value:.3f}", f"[{interval[0]:.{digits}f}–{interval[1]:.{digits}f}]"


def parts(row: Row) -> str:
    """Write how many parts a row counts: good ones plus defective ones.

    Parameters
    ----------
    row : dict

    Returns
    -------
    str
    """
    return f"{row['n_good']} + {row['n_defect']}"
