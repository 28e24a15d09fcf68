"""A chart of curves from 0 to 1 as vectors in the page, with its numbers in a table below.

A sensor has one colour in all charts, the viewer's too; strokes differ as well, for whoever prints
in grey.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdefect.report.card import clean
from mmdefect.report.numbers import number, percent

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
Band = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

_SIDE, _LEFT, _TOP, _BOTTOM = 200, 34, 8, 30
_AT = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
_AT_SHORT = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3)
_INK = "var(--ink, #222)"
_COLORS = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#b8a800", "#0072b2", "#d55e00")
_DASHES = ("7 3", "2 2", "8 3 2 3", "4 2", "10 4", "4 4", "1 2")


class Chart(NamedTuple):
    """One chart.

    Attributes
    ----------
    title, across, up : str
    curves : dict of str to (float array, float array)
        By name; across from 0 to ``most``, up from 0 to 1.
    diagonal : bool
        Whether the diagonal is drawn.
    most : float
        Where the axis across ends.
    said : str
        What it shows, in a sentence.
    dot : (float, float), optional
        A place on the first curve.
    band : (float array, float array, float array), optional
        Across, and from where to where up.
    """

    title: str
    across: str
    up: str
    curves: dict[str, Curve]
    diagonal: bool
    most: float = 1.0
    said: str = ""
    dot: tuple[float, float] | None = None
    band: Band | None = None


def figure(chart: Chart, order: Sequence[str] = ()) -> str:
    """Draw one chart, with its key and its numbers below.

    Parameters
    ----------
    chart : Chart
    order : sequence of str
        The sensors, which have their colours in this order.

    Returns
    -------
    str
    """
    width, height = _LEFT + _SIDE + 10, _TOP + _SIDE + _BOTTOM
    lines = "".join(
        f'<polyline points="{_points(curve, chart.most)}" fill="none" {_stroke(name, order)}/>'
        for name, curve in chart.curves.items()
    )
    return (
        f'<figure class="chart"><figcaption>{clean(chart.title)}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{clean(chart.title)}">{_ground(chart)}{lines}{_dot(chart)}{_axes(chart)}'
        f"</svg>{_key(chart, order)}<p>{clean(chart.said)}</p>{_table(chart)}</figure>"
    )


def _stroke(name: str, order: Sequence[str]) -> str:
    """Give the stroke of a curve: bold and black for all sensors together."""
    if name not in order:
        return f'stroke="{_INK}" stroke-width="2"'
    n = list(order).index(name) % len(_COLORS)
    return f'stroke="{_COLORS[n]}" stroke-width="1.6" stroke-dasharray="{_DASHES[n]}"'


def _ground(chart: Chart) -> str:
    """Draw what lies below the curves: band, grid, frame and diagonal."""
    right, low = _LEFT + _SIDE, _TOP + _SIDE
    band = ""
    if chart.band is not None:
        at, least, highest = chart.band
        there, back = _points((at, least), chart.most), _points((at, highest), chart.most)
        around = " ".join([there, *reversed(back.split(" "))])
        band = f'<polygon points="{around}" fill="#888" fill-opacity="0.22"/>'
    grid = "".join(
        f'<path d="M{_LEFT + _SIDE * at:g} {_TOP}V{low}M{_LEFT} {_TOP + _SIDE * at:g}H{right}" '
        'stroke="#888" stroke-opacity="0.3" stroke-width="0.6"/>'
        for at in (0.25, 0.5, 0.75)
    )
    frame = (
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" '
        'stroke="#888" stroke-width="0.8"/>'
    )
    diagonal = f'<line x1="{_LEFT}" y1="{low}" x2="{right}" y2="{_TOP}" stroke="#888"/>'
    return band + grid + frame + (diagonal if chart.diagonal else "")


def _dot(chart: Chart) -> str:
    """Mark a place on the first curve."""
    if chart.dot is None:
        return ""
    x, y = _place(*chart.dot, chart.most)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_INK}" stroke="#fff"/>'


def _axes(chart: Chart) -> str:
    """Write at the axes."""
    words = (
        f'<text x="{_LEFT + _SIDE / 2}" y="{_TOP + _SIDE + 24}" text-anchor="middle" '
        f'font-size="11" fill="currentColor">{clean(chart.across)}</text>'
        f'<text transform="translate(10 {_TOP + _SIDE / 2}) rotate(-90)" text-anchor="middle" '
        f'font-size="11" fill="currentColor">{clean(chart.up)}</text>'
    )
    return words + "".join(
        f'<text x="{_LEFT + _SIDE * at}" y="{_TOP + _SIDE + 12}" text-anchor="middle" '
        f'font-size="9" fill="currentColor">{at * chart.most:g}</text>'
        f'<text x="{_LEFT - 3}" y="{_TOP + _SIDE * (1 - at) + 3}" text-anchor="end" '
        f'font-size="9" fill="currentColor">{at:g}</text>'
        for at in (0.0, 0.5, 1.0)
    )


def _key(chart: Chart, order: Sequence[str]) -> str:
    """Name the curves beside their strokes, where there are several."""
    names = [name for name in chart.curves if name]
    if not names:
        return ""
    pieces = "".join(
        '<span><svg width="26" height="8" aria-hidden="true">'
        f'<line x1="0" y1="4" x2="26" y2="4" {_stroke(name, order)}/></svg> {clean(name)}</span> '
        for name in names
    )
    return f'<p class="names">{pieces}</p>'


def _place(x: float, y: float, most: float) -> tuple[float, float]:
    """Give a place in the picture."""
    return _LEFT + _SIDE * x / most, _TOP + _SIDE * (1 - y)


def _points(curve: Curve, most: float) -> str:
    """Give a curve's points in the picture."""
    places = (_place(x, y, most) for x, y in zip(*curve, strict=True))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _table(chart: Chart) -> str:
    """Write a chart's numbers at some places."""
    heads = "".join(f"<th>{clean(name or chart.up)}</th>" for name in chart.curves)
    rows = "".join(
        f"<tr><th>{percent(at)}</th>"
        + "".join(f"<td>{number(_at(curve, at))}</td>" for curve in chart.curves.values())
        + "</tr>"
        for at in (_AT if chart.most == 1 else _AT_SHORT)
    )
    return (
        f"<details><summary>numbers</summary><table><thead><tr><th>{clean(chart.across)}</th>"
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _at(curve: Curve, at: float) -> float:
    """Read a curve at a place: its last value up to there."""
    here = curve[0] <= at + 1e-12
    return float(curve[1][here][-1]) if here.any() else float("nan")
