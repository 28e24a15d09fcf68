"""Probability of detection: planted curves, scikit-learn, the coverage of the bound."""

import json

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from mmdefect.cli import DONE, app
from mmdefect.defect_sizes import detection_rows, read_results, read_sizes
from mmdefect.errors import CardError, MmdefectError
from mmdefect.pod import hit_miss, signal_response


def planted(rng: np.random.Generator, parts: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Defects of 0.2 to 5 mm; half of those of 1 mm are found."""
    sizes = np.exp(rng.uniform(np.log(0.2), np.log(5), parts))
    return sizes, rng.random(parts) < expit(3 * np.log(sizes))


TRUE_A90 = float(np.exp(np.log(9) / 3))


def test_the_curve_is_scikit_learns_logistic_regression():
    sizes, hits = planted(np.random.default_rng(0))
    pod = hit_miss(sizes, hits)
    fit = LogisticRegression(C=np.inf, tol=1e-10).fit(np.log(sizes)[:, None], hits)
    assert pod.slope == pytest.approx(fit.coef_[0, 0], rel=1e-3)
    assert pod.location == pytest.approx(-fit.intercept_[0] / fit.coef_[0, 0], abs=1e-3)
    asked = np.array([0.5, 1.0, 2.0])
    np.testing.assert_allclose(
        pod.at(asked), fit.predict_proba(np.log(asked)[:, None])[:, 1], atol=1e-3
    )
    assert pod.at(pod.a90) == pytest.approx(0.9)
    assert (pod.parts, pod.found) == (120, hits.sum())


def test_the_bound_of_hit_miss_holds_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = [hit_miss(*planted(rng, 80)).a90_95 >= TRUE_A90 for _ in range(100)]
    assert np.mean(held) >= 0.90


def responding(rng: np.random.Generator, parts: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Scores 2·size^1.5 with a scatter of 40 %; those below 0.5 read 0.5."""
    sizes = np.exp(rng.uniform(np.log(0.2), np.log(5), parts))
    return sizes, np.maximum(2 * sizes**1.5 * np.exp(0.4 * rng.normal(size=parts)), 0.5)


def test_the_signal_response_finds_the_planted_line_and_its_bound_holds():
    rng = np.random.default_rng(5)
    wanted = float(np.exp((np.log(3 / 2) + norm.ppf(0.9) * 0.4) / 1.5))
    pods = [signal_response(*responding(rng), threshold=3.0, floor=0.5) for _ in range(60)]
    assert np.median([pod.a90 for pod in pods]) == pytest.approx(wanted, rel=0.04)
    assert np.mean([pod.a90_95 >= wanted for pod in pods]) >= 0.88
    assert np.median([pod.slope for pod in pods]) == pytest.approx(1.5 / 0.4, rel=0.1)
    assert pods[0].at(pods[0].a90) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("sizes", "hits", "told"),
    [
        (np.arange(1.0, 6), np.ones(5), "5 defects of known size are too few for a curve; 10"),
        (np.arange(1.0, 13), np.ones(12), "all 12 defects were found; a curve takes both"),
        (np.arange(1.0, 13), np.zeros(12), "all 12 defects were missed"),
        (np.arange(1.0, 13), np.arange(12) > 5, "the curve is a step between 6 and 7"),
        (np.arange(12.0), np.arange(12) % 2, "sizes have to be positive numbers"),
        (np.ones(12), np.arange(12) % 2, "not all the same"),
        (np.arange(1.0, 13), np.arange(12) < 6, "larger defects are not found more often"),
        (np.arange(1.0, 13), np.ones(3), "one each was promised"),
    ],
)
def test_what_no_curve_can_be_fitted_to_is_refused(sizes, hits, told):
    with pytest.raises(MmdefectError, match=told):
        hit_miss(sizes, hits)


def test_signals_without_a_line_are_refused():
    sizes = np.arange(1.0, 13)
    with pytest.raises(MmdefectError, match="0 signals are above the floor 5 and the threshold"):
        signal_response(sizes, np.ones(12), threshold=9.0, floor=5.0)
    with pytest.raises(MmdefectError, match="signals do not grow with size"):
        signal_response(sizes, 1 / sizes, threshold=0.5)


def test_where_the_parts_give_no_bound_it_is_infinite():
    rng = np.random.default_rng(3)
    sizes = np.exp(rng.uniform(-0.2, 0.2, 12))
    hits = np.array([0, 1] * 6, dtype=bool)
    hits[np.argmax(sizes)] = True
    pod = hit_miss(np.sort(sizes), np.sort(hits) ^ (np.arange(12) % 3 == 0))
    assert pod.a90_95 > 10 * pod.a90 or np.isinf(pod.a90_95)


# ---------------------------------------------------------------- an evaluation, joined with sizes


@pytest.fixture
def evaluated(tmp_path):
    """Eighty scratches: infrared sees the longer ones, RGB none; the fusion what infrared sees."""
    sizes, hits = planted(np.random.default_rng(4), 80)
    captures, truth = [], {}
    for number, (size, hit) in enumerate(zip(sizes, hits, strict=True)):
        name, verdict = f"plate/test/scratch/{number:03d}", "defect" if hit else "good"
        height = 4 * size + 0.1 * (number % 7)
        sensors = {
            "rgb": {"verdict": "good", "score": 0.5},
            "infrared": {"verdict": verdict, "score": height},
        }
        captures.append(
            {"capture": name, "category": "plate", "kind": "scratch", "label": "defect"}
            | {"verdict": verdict, "image_score": height, "threshold": 4.0, "sensors": sensors}
        )
        truth[name] = {"sizes": {"depth_mm": 0.1, "length_mm": float(size)}}
    rows = [
        {"category": "plate", "sensor": sensor, "threshold": 4.0}
        for sensor in ("rgb", "infrared", "fused")
    ]
    results = {"captures": captures, "rows": rows, "false_alarm": 0.05}
    (tmp_path / "results.json").write_text(json.dumps(results))
    (tmp_path / "truth.json").write_text(json.dumps({"captures": truth}))
    lines = [f"{name},{told['sizes']['length_mm']!r}" for name, told in truth.items()]
    (tmp_path / "sizes.csv").write_text("\n".join(["capture,length_mm", *lines]))
    return tmp_path


def test_truth_and_table_give_the_same_curves(evaluated):
    results = read_results(evaluated)
    told = [detection_rows(results, read_sizes(evaluated / f)) for f in ("truth.json", "sizes.csv")]
    assert told[0] == told[1]
    rgb, infrared, fused = told[0]
    assert [row["measure"] for row in told[0]] == ["length_mm"] * 3
    assert rgb["hit_miss"].startswith("all 80 defects were missed")
    assert infrared["hit_miss"] == fused["hit_miss"]
    assert infrared["hit_miss"].a90 == pytest.approx(TRUE_A90, rel=0.4)
    assert fused["signal_response"].a90 == pytest.approx(1.0, rel=0.15)


def test_the_command_prints_sizes_and_says_what_it_cannot(evaluated):
    names = [str(evaluated / name) for name in ("results.json", "truth.json")]
    told = CliRunner().invoke(app, ["pod", *names])
    assert told.exit_code == DONE
    assert "length_mm" in told.stdout
    assert "plate scratch, rgb: all 80 defects were missed" in told.stderr
    rows = json.loads(CliRunner().invoke(app, ["pod", *names, "--json"]).stdout)
    assert rows[2]["sensor"] == "fused"
    assert rows[2]["hit_miss"]["a90"] < rows[2]["hit_miss"]["a90_95"]


def test_what_holds_no_sizes_is_refused(evaluated):
    (evaluated / "odd.csv").write_text("name,length\n1,2\n")
    with pytest.raises(CardError, match="holds no sizes"):
        read_sizes(evaluated / "odd.csv")
    with pytest.raises(CardError, match="cannot be read: No such file"):
        read_sizes(evaluated / "none.csv")
    (evaluated / "other.json").write_text("{}")
    with pytest.raises(CardError, match="lacks captures, false_alarm, rows: it is no results"):
        read_results(evaluated / "other.json")
    with pytest.raises(MmdefectError, match="no defect of the evaluation has a size named 'area'"):
        detection_rows(read_results(evaluated), read_sizes(evaluated / "sizes.csv"), "area")
