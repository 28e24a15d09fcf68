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
from typing import Any

import numpy as np
from scipy.stats import binom

from mmdefect.report.card import clean
from mmdefect.report.charts import Band, Chart, Curve, figure

Row = dict[str, Any]
_MOST_PRO = 0.3
_TAIL = 0.025


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
    known = [r for r in records if r["p_value"] is not None]
    if curves:
        said = "As the threshold falls; the dot is where this run's verdicts lie."
        axes = ("good called defective", "defects found")
        dot = _verdicts(known, rate) if "fused" in curves else None
        charts.append(Chart("ROC", *axes, curves, True, said=said, dot=dot))
    charts += _pro(rows)
    if known:
        wrong = [(r["p_value"] <= rate) != (r["label"] == "defect") for r in known]
        curve = risk_coverage([r["p_value"] for r in known], wrong, rate)
        said = "If only the surest captures were decided: how many of them wrongly?"
        axes = ("captures decided, surest first", "of those, decided wrongly")
        charts.append(Chart("Risk and coverage", *axes, {"": curve}, False, said=said))
    good = [r["p_value"] for r in known if r["label"] == "good"]
    if good:
        said = (
            "Above the line more good parts alarm than were asked for; grey: 95 % of what chance "
            f"makes of {len(good)} parts."
        )
        axes = ("false-alarm rate t that is asked for", "good parts with p ≤ t")
        told = {"": reliability(good)}
        charts.append(Chart("Reliability", *axes, told, True, said=said, band=_chance(len(good))))
    return charts


def _verdicts(known: Sequence[Row], rate: float) -> tuple[float, float] | None:
    """Give the shares of good and of defective parts with a p-value that alarms."""
    alarms = [
        [r["p_value"] <= rate for r in known if r["label"] == label] for label in ("good", "defect")
    ]
    if not all(alarms):
        return None
    good, defect = (float(np.mean(side)) for side in alarms)
    return good, defect


def _chance(parts: int) -> Band:
    """Say where 95 % of the shares of so many parts lie, if each has p ≤ t at the rate t."""
    at = np.linspace(0, 1, 101)
    low, high = (binom.ppf(tail, parts, at) / parts for tail in (_TAIL, 1 - _TAIL))
    return at, np.maximum(low, 0.0), high


def _pro(rows: Sequence[Row]) -> list[Chart]:
    """Draw the curves of overlaps, all sensors together first; nothing where none is known."""
    told = sorted((row for row in rows if row.get("pro")), key=lambda r: r["sensor"] != "fused")
    curves = {row["sensor"]: tuple(np.array(row["pro"], dtype=np.float64).T) for row in told}
    axes = ("good pixels marked", "mean overlap of defects")
    said = "How much of the defects is marked, for what is marked of good pixels."
    return [Chart("PRO", *axes, curves, False, _MOST_PRO, said=said)] if curves else []


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
        order = list(own[0][0]["sensors"])
        figures = "".join(figure(chart, order) for chart in charts)
        if figures:
            written.append(f"<h3>{clean(category)}</h3>\n<div class='curves'>{figures}</div>\n")
    return f"<section><h2>Curves</h2>\n{''.join(written)}</section>\n" if written else ""
