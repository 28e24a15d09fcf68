"""Curves of an evaluation: ROC, PRO, risk and coverage, and whether p-values keep their promise.

* ROC: the share of defective parts found against that of good parts called defective, as the
  threshold falls; all sensors together and each alone.
* PRO: the mean overlap of defects, as regions, with what is marked, against the share of good
  pixels that is marked too, up to 30 %; of all sensors together and of each on the same grid.
* Risk and coverage: if only the captures that are surest were decided, what share of those
  decisions would be wrong? Surest is where the p-value is farthest from the false-alarm rate, as a
  ratio. A curve that does not fall to the left says that the confidence is worth nothing.
* Reliability: of good test parts the share t should have a p-value of at most t. Below the diagonal
  the verdict is on the safe side; above it, good parts alarm more often than was promised.

Drawn as vectors in the page itself; the same numbers stand beside them as a table.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmdefect.report.card import clean
from mmdefect.report.numbers import number, percent

Row = dict[str, Any]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

_SIDE, _LEFT, _BOTTOM = 200, 34, 30
_AT = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
_MOST_PRO = 0.3
_AT_PRO = (0.0, 0.01, 0.05, 0.1, 0.2, _MOST_PRO)
_STROKES = (
    "var(--ink, #222)", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
)  # fmt: skip
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 2", "10 4", "4 4")


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
    """

    title: str
    across: str
    up: str
    curves: dict[str, Curve]
    diagonal: bool
    most: float = 1.0


def roc(good: Sequence[float], defect: Sequence[float]) -> Curve:
    """Trace the rates as the threshold falls.

    Parameters
    ----------
    good, defect : sequence of float
        Scores; one of each at least.

    Returns
    -------
    float array (point,)
        Share of good parts called defective, from 0 to 1.
    float array (point,)
        Share of defective parts found.

    Examples
    --------
    >>> across, up = roc([1.0, 2.0], [1.5, 3.0])
    >>> across.tolist(), up.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    levels = np.unique([*good, *defect])[::-1]
    shares = [
        np.concatenate([[0.0], (np.asarray(scores)[:, None] >= levels).mean(0)])
        for scores in (good, defect)
    ]
    return shares[0], shares[1]


def risk_coverage(p_values: Sequence[float], wrong: Sequence[bool], rate: float) -> Curve:
    """Trace the share of wrong decisions among the surest.

    Parameters
    ----------
    p_values : sequence of float
        One at least.
    wrong : sequence of bool
        Whether the decision at the rate was wrong.
    rate : float
        The false-alarm rate.

    Returns
    -------
    float array (capture,)
        Share of the captures that are decided.
    float array (capture,)
        Share of those that are decided wrongly; captures that are equally sure count as their mean.
    """
    sure = np.abs(np.log(np.asarray(p_values) / rate))
    order = np.argsort(-sure, kind="stable")
    held, sure = np.asarray(wrong, dtype=np.float64)[order], sure[order]
    for level in np.unique(sure):
        held[sure == level] = held[sure == level].mean()
    count = np.arange(1, held.size + 1)
    return count / held.size, np.cumsum(held) / count


def reliability(p_values: Sequence[float]) -> Curve:
    """Trace the share of good parts whose p-value is at most t, against t.

    Parameters
    ----------
    p_values : sequence of float
        Of good parts; one at least.

    Returns
    -------
    float array (point,)
    float array (point,)
    """
    at = np.unique(np.concatenate([[0.0], p_values, [1.0]]))
    return at, (np.asarray(p_values)[None] <= at[:, None]).mean(1)


def charts_of(records: Sequence[Row], rate: float, rows: Sequence[Row] = ()) -> list[Chart]:
    """Choose the charts that some records allow.

    Parameters
    ----------
    records : sequence of dict
        ``captures`` of one category, from ``results.json``.
    rate : float
        The false-alarm rate.
    rows : sequence of dict
        ``rows`` of the category, with ``pro``.

    Returns
    -------
    list of Chart
        None where a kind of part is missing.
    """
    charts = []
    curves = {}
    for name in ["fused", *(records[0]["sensors"] if records else ())]:
        sides = [
            [s for r in records if r["label"] == label and (s := _score(r, name)) is not None]
            for label in ("good", "defect")
        ]
        if all(sides):
            curves[name] = roc(*sides)
    if curves:
        charts.append(Chart("ROC", "good called defective", "defects found", curves, True))
    charts += _pro(rows)
    known = [r for r in records if r["p_value"] is not None]
    if known:
        wrong = [(r["p_value"] <= rate) != (r["label"] == "defect") for r in known]
        curve = risk_coverage([r["p_value"] for r in known], wrong, rate)
        up = "of those, wrong"
        charts.append(Chart("Risk and coverage", "decided, surest first", up, {"": curve}, False))
    good = [r["p_value"] for r in known if r["label"] == "good"]
    if good:
        across, up = "t", "good parts with p ≤ t"
        charts.append(Chart("Reliability", across, up, {"": reliability(good)}, True))
    return charts


def _pro(rows: Sequence[Row]) -> list[Chart]:
    """Draw the curves of overlaps, all sensors together first; nothing where none is known."""
    told = sorted((row for row in rows if row.get("pro")), key=lambda r: r["sensor"] != "fused")
    curves = {row["sensor"]: tuple(np.array(row["pro"], dtype=np.float64).T) for row in told}
    across, up = "good pixels marked", "mean overlap of defects"
    return [Chart("PRO", across, up, curves, False, _MOST_PRO)] if curves else []


def _score(record: Row, name: str) -> float | None:
    told = record["image_score"] if name == "fused" else record["sensors"][name]["score"]
    return None if told is None else float(told)


def curves_section(records: Sequence[Row], rate: float, rows: Sequence[Row] = ()) -> str:
    """Write the charts of all categories.

    Parameters
    ----------
    records : sequence of dict
        ``captures`` of ``results.json``.
    rate : float
        The false-alarm rate.
    rows : sequence of dict
        ``rows`` of ``results.json``.

    Returns
    -------
    str
        A ``section``; empty where nothing can be drawn.
    """
    written = []
    for category in dict.fromkeys(record["category"] for record in records):
        own = [[r for r in told if r["category"] == category] for told in (records, rows)]
        charts = charts_of(own[0], rate, own[1])
        figures = "".join(_figure(chart) for chart in charts)
        if figures:
            written.append(f"<h3>{clean(category)}</h3>\n<div class='curves'>{figures}</div>\n")
    return f"<section><h2>Curves</h2>\n{''.join(written)}</section>\n" if written else ""


def _figure(chart: Chart) -> str:
    """Draw one chart, with its numbers below."""
    lines = "".join(
        f'<polyline points="{_points(curve, chart.most)}" fill="none" stroke="{_STROKES[n % 7]}" '
        f'stroke-width="{2 if n == 0 else 1.2}" stroke-dasharray="{_DASHES[n % 7]}"/>'
        for n, curve in enumerate(chart.curves.values())
    )
    right, top = _LEFT + _SIDE, 8
    frame = (
        f'<rect x="{_LEFT}" y="{top}" width="{_SIDE}" height="{_SIDE}" fill="none" '
        'stroke="#888" stroke-width="0.8"/>'
    )
    diagonal = (
        f'<line x1="{_LEFT}" y1="{top + _SIDE}" x2="{right}" y2="{top}" stroke="#888" '
        'stroke-width="0.8"/>'
        if chart.diagonal
        else ""
    )
    names = [name for name in chart.curves if name]
    keys = "".join(
        f'<text x="{right - 4}" y="{top + _SIDE - 6 - 12 * n}" text-anchor="end" font-size="10" '
        f'fill="{_STROKES[n % 7]}">{clean(name)}</text>'
        for n, name in enumerate(names)
    )
    words = (
        f'<text x="{_LEFT + _SIDE / 2}" y="{top + _SIDE + 24}" text-anchor="middle" '
        f'font-size="11" fill="currentColor">{clean(chart.across)}</text>'
        f'<text transform="translate(10 {top + _SIDE / 2}) rotate(-90)" text-anchor="middle" '
        f'font-size="11" fill="currentColor">{clean(chart.up)}</text>'
    )
    ticks = "".join(
        f'<text x="{_LEFT + _SIDE * at}" y="{top + _SIDE + 12}" text-anchor="middle" '
        f'font-size="9" fill="currentColor">{at * chart.most:g}</text>'
        f'<text x="{_LEFT - 3}" y="{top + _SIDE * (1 - at) + 3}" text-anchor="end" '
        f'font-size="9" fill="currentColor">{at:g}</text>'
        for at in (0.0, 0.5, 1.0)
    )
    width, height = right + 10, top + _SIDE + _BOTTOM
    return (
        f'<figure style="display:inline-block;margin:0 1em 1em 0;vertical-align:top">'
        f"<figcaption>{clean(chart.title)}</figcaption>"
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{clean(chart.title)}">{frame}{diagonal}{lines}{keys}{words}{ticks}</svg>'
        f"{_table(chart)}</figure>"
    )


def _points(curve: Curve, most: float) -> str:
    """Give a curve's points in the picture."""
    return " ".join(
        f"{_LEFT + _SIDE * x / most:.1f},{8 + _SIDE * (1 - y):.1f}"
        for x, y in zip(*curve, strict=True)
    )


def _table(chart: Chart) -> str:
    """Write a chart's numbers at some places."""
    heads = "".join(f"<th>{clean(name or chart.up)}</th>" for name in chart.curves)
    rows = "".join(
        f"<tr><th>{percent(at)}</th>"
        + "".join(f"<td>{number(_at(curve, at))}</td>" for curve in chart.curves.values())
        + "</tr>"
        for at in (_AT if chart.most == 1 else _AT_PRO)
    )
    return (
        f"<details><summary>numbers</summary><table><thead><tr><th>{clean(chart.across)}</th>"
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _at(curve: Curve, at: float) -> float:
    """Read a curve at a place: its last value up to there."""
    here = curve[0] <= at + 1e-12
    return float(curve[1][here][-1]) if here.any() else float("nan")
