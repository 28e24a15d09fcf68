"""The curve over few good parts, as a drawing and a table."""

from math import log2
from typing import Any

from mmdefect.report.card import clean
from mmdefect.report.sections import table_section

Row = dict[str, Any]

HEADINGS = ["category", "good parts", "fit + calibration", "smallest false-alarm rate", "referred"]
CAUTION = (
    "Part AUROC after learning from so few good parts. A verdict needs a threshold: where the "
    "smallest rate that can be promised, 1/(n + 1) of n calibration parts, is above the one asked "
    "for, every part is referred."
)
_WIDE, _HIGH, _MARGIN = 460, 240, 44


def sensors_of_curve(rows: list[Row]) -> list[str]:
    """Name the sensors of all rows, the fusion last."""
    return list(dict.fromkeys(name for row in rows for name in row["image_auroc"]))


def curve_line(row: Row, sensors: list[str]) -> list[str]:
    """Put one number of parts into cells."""
    areas = [row["image_auroc"].get(name) for name in sensors]
    return [
        row["category"],
        str(row["parts"]),
        f"{row['fit']} + {row['calibration']}",
        f"{row['smallest_false_alarm']:.3g}",
        f"{row['referred']:.0%}",
        *("–" if area is None else f"{area:.3f}" for area in areas),
    ]


def curve_section(rows: list[Row]) -> str:
    """Write the drawing and the table of every category as HTML; nothing without rows."""
    if not rows:
        return ""
    sensors = sensors_of_curve(rows)
    categories = list(dict.fromkeys(row["category"] for row in rows))
    drawings = "".join(
        _drawing([row for row in rows if row["category"] == name], name) for name in categories
    )
    said = f'<p class="small">{CAUTION}</p>\n{drawings}'
    lines = [curve_line(row, sensors) for row in rows]
    return table_section("Few good parts", said, [*HEADINGS, *sensors], lines)


def _drawing(rows: list[Row], category: str) -> str:
    """Draw part AUROC against the number of good parts, every sensor thin, the fusion bold."""
    most = max(1.0, log2(max(row["parts"] for row in rows)))
    low = min([0.5, *(a for row in rows for a in row["image_auroc"].values() if a is not None)])

    def at(parts: int, area: float) -> tuple[float, float]:
        x = _MARGIN + (_WIDE - 2 * _MARGIN) * log2(parts) / most
        return x, _HIGH - _MARGIN - (_HIGH - 2 * _MARGIN) * (area - low) / (1 - low)

    pieces = []
    for name in sensors_of_curve(rows):
        told = [(row["parts"], row["image_auroc"].get(name)) for row in rows]
        places = [at(parts, area) for parts, area in told if area is not None]
        if not places:
            continue
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        wide = 3 if name == "fused" else 1
        x, y = places[-1]
        pieces.append(
            f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="{wide}"/>'
            f'<text x="{x + 4:.1f}" y="{y + 4:.1f}" font-size="10" fill="currentColor">'
            f"{clean(name)}</text>"
        )
    for row in rows:
        x, y = at(row["parts"], low)
        pieces.append(
            f'<text x="{x:.1f}" y="{y + 18:.1f}" font-size="11" text-anchor="middle" '
            f'fill="currentColor">{row["parts"]}</text>'
        )
    for area in (low, 1.0):
        pieces.append(
            f'<text x="{_MARGIN - 6}" y="{at(1, area)[1] + 4:.1f}" font-size="11" '
            f'text-anchor="end" fill="currentColor">{area:.2f}</text>'
        )
    return (
        f'<figure><svg viewBox="0 0 {_WIDE + 40} {_HIGH}" width="{_WIDE + 40}" role="img" '
        f'aria-label="part AUROC by number of good parts">{"".join(pieces)}</svg>'
        f"<figcaption>{clean(category)}: part AUROC against good parts</figcaption></figure>\n"
    )
