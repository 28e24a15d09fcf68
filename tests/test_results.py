"""Results: rows of planted records, maps on disk, and a file that is JSON for everyone."""

import json
from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mmdefect
from mmdefect.registry import load
from mmdefect.results import FUSED, header, rows_of_category, write_json
from mmdefect.spill import MapSpill
from mmdefect.verdict import Calibration

NAN = float("nan")
SIDE = 8

# ---------------------------------------------------------------- maps on disk


@given(draw=st.data())
@settings(deadline=None, max_examples=25)
def test_maps_come_back_from_disk_as_they_were_put(tmp_path_factory, draw):
    captures = draw.draw(st.integers(1, 5))
    height, width = draw.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    rng = np.random.default_rng(captures)
    maps = rng.standard_normal((captures, 2, height, width)).astype(np.float32)
    maps[rng.random(maps.shape) < 0.2] = NAN
    truth = rng.random((captures, height, width)) < 0.5
    known = draw.draw(st.lists(st.booleans(), min_size=captures, max_size=captures))
    spill = MapSpill(tmp_path_factory.mktemp("spill"), captures, ("rgb", FUSED), (height, width))
    for index in draw.draw(st.permutations(range(captures))):
        spill.put(index, maps[index], truth[index] if known[index] else None)
    asked = draw.draw(st.permutations(range(captures)))
    for column, name in enumerate(spill.names):
        view = spill.view(name, asked)
        wanted = [index for index in asked if known[index]]
        assert len(view) == len(wanted)
        for _ in range(2):
            for index, (score_map, defect) in zip(wanted, view, strict=True):
                np.testing.assert_array_equal(score_map, maps[index, column])
                np.testing.assert_array_equal(defect, truth[index])
                assert defect.dtype == bool


def test_a_map_of_another_size_is_not_stored(tmp_path):
    spill = MapSpill(tmp_path, 2, ("rgb",), (4, 4))
    with pytest.raises(ValueError, match="broadcast"):
        spill.put(0, np.zeros((1, 3, 4), np.float32), None)


# ---------------------------------------------------------------- rows


def record(label: str, kind: str, scores: dict[str, float | None], called: str) -> dict:
    """What a trial writes of a capture; the sensors' verdicts are those of the part."""
    sensors = {
        name: {
            "score": score,
            "verdict": "not_inspectable" if score is None else called,
            "seconds": 0.25,
        }
        for name, score in scores.items()
    }
    known = [score for score in scores.values() if score is not None]
    return {
        "label": label,
        "kind": kind,
        "verdict": called,
        "image_score": sum(known) if known else None,
        "seconds": 0.5,
        "sensors": sensors,
    }


# rgb ranks 9 of 12 pairs right; points was never there; one capture has nothing at all
RECORDS = [
    record("good", "good", {"rgb": 1.0, "points": None}, "good"),
    record("good", "good", {"rgb": 2.0, "points": None}, "good"),
    record("good", "good", {"rgb": 3.0, "points": None}, "defect"),
    record("good", "good", {"rgb": 4.0, "points": None}, "good"),
    record("defect", "dent", {"rgb": 2.5, "points": None}, "good"),
    record("defect", "dent", {"rgb": 6.0, "points": None}, "defect"),
    record("defect", "scratch", {"rgb": 3.5, "points": None}, "defect"),
    record("defect", "scratch", {"rgb": None, "points": None}, "not_inspectable"),
]


def calibration(parts: int) -> Calibration:
    """As many good parts as wanted, scoring 1, 2, 3 … in rgb and nothing in points."""
    scores = np.stack([np.arange(1.0, parts + 1), np.full(parts, NAN)], axis=1)
    return Calibration(("rgb", "points"), 10 * scores, scores, load("fusion", "late")().combine)


def rows(
    folder, records=RECORDS, *, parts: int = 19, on_grid=("rgb", "points"), unknown=()
) -> tuple[dict, dict]:
    """Rows by sensor, and by sensor and kind; maps show each defect, but rgb's are mirrored."""
    names = ("rgb", "points", FUSED)
    spill = MapSpill(folder, len(records), names, (SIDE, SIDE))
    for index, told in enumerate(records):
        truth = np.zeros((SIDE, SIDE), bool)
        truth[2:4, 5:7] = told["label"] == "defect"
        shown = np.where(truth, 5.0, 1.0)
        maps = np.stack([shown[:, ::-1], np.full_like(shown, NAN), shown])
        spill.put(index, maps.astype(np.float32), None if index in unknown else truth)
    made, per_kind = rows_of_category(
        records,
        spill,
        calibration(parts),
        category="plate",
        on_grid=on_grid,
        false_alarm=0.1,
        seed=0,
    )
    assert [row["sensor"] for row in made] == list(names)
    assert {row["category"] for row in made + per_kind} == {"plate"}
    json.dumps([made, per_kind], allow_nan=False)
    by_kind = {(row["sensor"], row["kind"]): row for row in per_kind}
    return {row["sensor"]: row for row in made}, by_kind


def test_a_row_of_planted_records_has_the_metrics_counted_by_hand(tmp_path):
    row = rows(tmp_path)[0]["rgb"]
    assert (row["n_good"], row["n_defect"], row["n_with_truth"]) == (4, 3, 7)
    assert row["image_auroc"] == pytest.approx(9 / 12)
    assert row["image_ap"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)
    assert row["recall"] == pytest.approx(2 / 3)
    assert row["fnr"] == pytest.approx(1 / 3)
    assert row["fpr"] == pytest.approx(1 / 4)
    assert row["precision"] == pytest.approx(2 / 3)
    assert row["seconds_per_capture"] == 0.25
    assert row["peak_bytes"] > 1 << 20
    low, high = row["intervals"]["recall"]
    assert 0 < low < 2 / 3 < high < 1


def test_the_threshold_is_that_of_the_calibration_parts(tmp_path):
    by_sensor, _ = rows(tmp_path)
    assert by_sensor["rgb"]["threshold"] == 18
    assert by_sensor[FUSED]["threshold"] == 180
    assert by_sensor["points"]["threshold"] is None


def test_the_fusion_has_its_own_scores_maps_and_seconds(tmp_path):
    by_sensor, _ = rows(tmp_path)
    assert by_sensor[FUSED]["image_auroc"] == pytest.approx(9 / 12)
    assert by_sensor[FUSED]["seconds_per_capture"] == 0.5
    assert by_sensor[FUSED]["pixel_auroc"] == by_sensor[FUSED]["aupro_01"] == 1
    assert by_sensor["rgb"]["pixel_auroc"] < 0.5
    assert by_sensor["rgb"]["aupro_01"] == 0
    assert by_sensor[FUSED]["grids"]["aupro_30_grid99"] == pytest.approx(1)
    assert not [key for key in by_sensor[FUSED] if "grid" in key and key != "grids"]


def test_a_kind_of_defect_is_held_against_all_good_parts(tmp_path):
    _, by_kind = rows(tmp_path)
    assert set(by_kind) == {(s, k) for s in ("rgb", "points", FUSED) for k in ("dent", "scratch")}
    dent, scratch = by_kind["rgb", "dent"], by_kind["rgb", "scratch"]
    assert (dent["n_good"], dent["n_defect"]) == (4, 2)
    assert (scratch["n_good"], scratch["n_defect"]) == (4, 1)
    assert dent["image_auroc"] == pytest.approx(6 / 8)
    assert scratch["image_auroc"] == pytest.approx(3 / 4)
    assert (dent["recall"], scratch["recall"]) == (0.5, 1.0)


METRICS = ("image_auroc", "image_ap", "recall", "fpr", "fnr", "precision")
PIXELS = ("pixel_auroc", "pixel_ap", "aupro_30", "aupro_10", "aupro_05", "aupro_01")


def test_a_sensor_that_was_never_there_has_a_row_of_nulls(tmp_path):
    row = rows(tmp_path)[0]["points"]
    assert (row["n_good"], row["n_defect"], row["n_with_truth"]) == (0, 0, 0)
    assert {row[key] for key in (*METRICS, *PIXELS, "seconds_per_capture")} == {None}
    assert row["intervals"] == {}


def test_a_sensor_off_the_common_grid_has_part_metrics_but_no_pixel_metrics(tmp_path):
    by_sensor, by_kind = rows(tmp_path, on_grid=["points"])
    for row in (by_sensor["rgb"], by_kind["rgb", "dent"]):
        assert {row[key] for key in PIXELS} == {None}
        assert set(row["grids"].values()) == {None}
        assert row["n_with_truth"] == 0
        assert row["image_auroc"] is not None
    assert by_sensor[FUSED]["pixel_auroc"] == 1


def test_without_defects_nothing_is_ranked_but_false_alarms_are_counted(tmp_path):
    by_sensor, by_kind = rows(tmp_path, RECORDS[:4])
    row = by_sensor["rgb"]
    assert by_kind == {}
    assert row["fpr"] == 0.25
    assert {row[key] for key in ("image_auroc", "image_ap", "recall", "fnr", *PIXELS)} == {None}


def test_captures_of_unknown_truth_count_as_parts_but_not_as_pixels(tmp_path):
    row = rows(tmp_path, unknown=(4, 5))[0][FUSED]
    assert (row["n_good"], row["n_defect"], row["n_with_truth"]) == (4, 3, 5)
    assert row["pixel_auroc"] == 1


def test_with_too_few_calibration_parts_there_is_no_threshold_and_no_rate(tmp_path):
    row = rows(tmp_path, parts=8)[0]["rgb"]
    assert row["threshold"] is None
    assert {row[key] for key in ("precision", "recall", "fpr", "fnr")} == {None}
    assert row["image_auroc"] == pytest.approx(9 / 12)


# ---------------------------------------------------------------- the file


def test_the_header_names_versions_and_settings():
    told = header({"seed": 7, "false_alarm": 0.1, "detector": "memory_bank"})
    assert told["schema"] == 1
    assert told["mmdefect"] == mmdefect.__version__
    assert told["versions"]["torch"] == version("torch")
    assert {"python", "numpy", "xarray", "open3d", "timm"} <= set(told["versions"])
    assert told["settings"]["detector"] == "memory_bank"
    assert (told["seed"], told["false_alarm"]) == (7, 0.1)
    assert told["created"].endswith("+00:00")
    json.dumps(told, allow_nan=False)


def test_results_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_json(path, {"rows": [1.5, None]})
    assert json.loads(path.read_text()) == {"rows": [1.5, None]}
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(path, {"rows": [NAN]})

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("mmdefect.whole.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_json(path, {"rows": []})
    assert json.loads(path.read_text()) == {"rows": [1.5, None]}
