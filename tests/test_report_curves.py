"""Curves of the report: by hand, and as they stand on the page."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mmdefect.report.curves import charts_of, curves_section, reliability, risk_coverage, roc


def record(label: str, score: float | None, p_value: float | None, category: str = "plate") -> dict:
    return {
        "category": category,
        "label": label,
        "image_score": score,
        "p_value": p_value,
        "sensors": {"rgb": {"score": score}, "points": {"score": None}},
    }


RECORDS = [
    record("good", 1.0, 0.9),
    record("good", 2.0, 0.3),
    record("good", 4.0, 0.04),
    record("defect", 3.0, 0.2),
    record("defect", 9.0, 0.01),
    record("defect", None, None),
]


def test_the_area_under_the_roc_curve_is_the_auroc():
    rng = np.random.default_rng(0)
    good, defect = rng.integers(0, 9, 40).astype(float), rng.integers(3, 12, 30).astype(float)
    across, up = roc(good, defect)
    wanted = roc_auc_score([0] * 40 + [1] * 30, [*good, *defect])
    assert np.trapezoid(up, across) == pytest.approx(wanted)


def test_risk_and_coverage_by_hand():
    # |ln(p / 0.05)|: 0.9 → 2.89, 0.01 → 1.61, 0.2 → 1.39 (wrong), 0.04 → 0.22 (wrong)
    coverage, risk = risk_coverage([0.04, 0.9, 0.2, 0.01], [True, False, True, False], 0.05)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0.0, 0.0, 1 / 3, 0.5])


def test_captures_that_are_equally_sure_count_as_their_mean():
    _, risk = risk_coverage([0.5, 0.5], [True, False], 0.05)
    assert risk.tolist() == [0.5, 0.5]


def test_uniform_p_values_lie_on_the_diagonal():
    at, share = reliability((np.arange(1, 101) / 100).tolist())
    np.testing.assert_allclose(at, share)


def test_the_page_has_a_drawing_and_its_numbers_for_every_category():
    text = curves_section([*RECORDS, *[dict(r, category="<i>") for r in RECORDS]], 0.05)
    assert text.count("<svg viewBox") == 6
    assert "<i>" not in text.replace("&lt;i&gt;", "")
    assert text.count("<details>") == 6
    page = ET.fromstring(text)
    titles = [svg.get("aria-label") for svg in page.iter("svg") if svg.get("aria-label")]
    assert titles[:3] == ["ROC", "Risk and coverage", "Reliability"]
    (points,) = [line.get("points") for line in next(page.iter("svg")).iter("polyline")][:1]
    places = np.array([[float(n) for n in pair.split(",")] for pair in points.split()])
    assert (np.diff(places[:, 0]) >= 0).all()
    assert (np.diff(places[:, 1]) <= 0).all()


def test_the_pro_curve_ends_at_thirty_percent_and_the_fusion_comes_first():
    rows = [
        {"category": "plate", "sensor": "rgb", "pro": [[0.0, 0.1], [0.3, 0.8]]},
        {"category": "plate", "sensor": "fused", "pro": [[0.0, 0.5], [0.15, 0.75], [0.3, 1.0]]},
        {"category": "plate", "sensor": "xray", "pro": None},
    ]
    page = ET.fromstring(curves_section(RECORDS, 0.05, rows))
    svg = next(one for one in page.iter("svg") if one.get("aria-label") == "PRO")
    fused, rgb = (line.get("points") for line in svg.iter("polyline"))
    assert fused == "34.0,108.0 134.0,58.0 234.0,8.0"
    assert rgb == "34.0,188.0 234.0,48.0"
    assert {"0.15", "0.3"} <= {text.text for text in svg.iter("text")}
    key = next(one for one in page.iter("p") if one.get("class") == "names")
    assert "".join(key.itertext()).split() == ["fused", "rgb"]


def test_a_sensor_keeps_its_colour_where_another_has_no_curve():
    rows = [{"category": "plate", "sensor": "points", "pro": [[0.0, 0.1], [0.3, 0.8]]}]
    records = [dict(r, sensors={n: {"score": r["image_score"]} for n in ("rgb", "points")})
               for r in RECORDS]  # fmt: skip
    page = ET.fromstring(curves_section(records, 0.05, rows))
    charts = {svg.get("aria-label"): svg for svg in page.iter("svg")}
    colors = {title: [line.get("stroke") for line in charts[title].iter("polyline")]
              for title in ("ROC", "PRO")}  # fmt: skip
    assert colors["PRO"] == [colors["ROC"][2]]
    assert len(set(colors["ROC"])) == 3


def test_the_dot_is_where_the_verdicts_lie():
    page = ET.fromstring(curves_section(RECORDS, 0.05))
    dots = list(page.iter("circle"))  # one of three good parts, one of two defects with a number
    assert [(dot.get("cx"), dot.get("cy")) for dot in dots] == [("100.7", "108.0")]


def test_the_grey_band_holds_what_chance_makes_of_a_few_parts():
    (band,) = (chart.band for chart in charts_of(RECORDS, 0.05) if chart.band is not None)
    at, low, high = band
    assert (low[50], high[50]) == (0.0, 1.0)  # of 3 parts any number may have p ≤ 0.5
    assert (low[0], high[0], low[-1], high[-1]) == (0.0, 0.0, 1.0, 1.0)
    (many,) = (chart.band for chart in charts_of(100 * RECORDS, 0.05) if chart.band is not None)
    assert many[2][50] - many[1][50] == pytest.approx(2 * 1.96 * 0.5 / 300**0.5, rel=0.05)
    assert at[50] == 0.5


def test_without_defects_there_is_no_roc_and_without_captures_no_section():
    assert "ROC" not in curves_section(RECORDS[:3], 0.05)
    assert curves_section([], 0.05) == ""
