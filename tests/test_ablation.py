"""Ablations: the same numbers as an evaluation, going on after a kill, and what is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from mmdefect.ablation import ablate, run, scoring
from mmdefect.ablation.arms import Arm, Measured, judged
from mmdefect.ablation.best import chosen_elsewhere
from mmdefect.cli import DONE, app
from mmdefect.errors import CardError, UnknownNameError
from mmdefect.evaluate import evaluate
from mmdefect.settings import Settings
from mmdefect.verdict import Calibration

SETTINGS = Settings(features={"rgb": "builtin", "points": "builtin"}, bank_bytes=8 << 20)


def test_an_ablation_that_was_killed_tells_what_an_evaluation_tells(
    miniature, tmp_path, monkeypatch
):
    root = miniature("mvtec3d")
    whole, asked = scoring._scored_one, []

    def until_killed(index, *others):
        asked.append(index)
        if index == 5 and asked.count(5) == 1:
            raise KeyboardInterrupt
        return whole(index, *others)

    monkeypatch.setattr(scoring, "_scored_one", until_killed)
    kinds = {**run.KINDS, "odd": ("late", {"rule": "odd"})}
    monkeypatch.setattr(run, "KINDS", kinds)
    arguments = {"kinds": ["banks", "odd"], "settings": SETTINGS}
    with pytest.raises(KeyboardInterrupt):
        ablate("mvtec3d", root, tmp_path / "ablated", **arguments)
    ablated = ablate("mvtec3d", root, tmp_path / "ablated", **arguments)
    assert asked == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11]
    evaluated = evaluate("mvtec3d", root, tmp_path / "evaluated", settings=SETTINGS)
    assert [row["arm"] for row in ablated["rows"]] == ["rgb", "points", "banks"]
    assert any("odd is left out: no fusion rule named 'odd'" in text for text in ablated["notes"])
    for ours, theirs in zip(ablated["rows"], evaluated["rows"], strict=True):
        for name in ("image_auroc", "recall", "fpr", "n_good", "n_defect"):
            assert ours[name] == theirs[name], name
        for name in ("aupro_30", "aupro_05"):  # evidence is flat below the lowest good pixel
            assert ours[name] == pytest.approx(theirs[name], abs=0.002)
    theirs = {(r["kind"], r["sensor"]): r["image_auroc"] for r in evaluated["rows_per_kind"]}
    assert theirs == {
        (r["kind"], r["arm"].replace("banks", "fused")): r["image_auroc"]
        for r in ablated["rows_per_kind"]
    }
    assert ablated["manifest"] == evaluated["manifest"]
    assert ablated["rows"][2]["to_full"]["image_auroc"] == [0.0, 0.0, 0.0]
    assert not (tmp_path / "ablated" / ".unfinished").exists()
    kept = json.loads((tmp_path / "ablated" / "ablation.json").read_text())
    assert kept["rows"] == ablated["rows"]
    assert "| *each sensor alone* |" in (tmp_path / "ablated" / "ablation.md").read_text()


def test_kinds_that_use_the_transformer_share_its_training(tmp_path):
    work = SimpleNamespace(folder=tmp_path)
    folders = [
        run._training(work, [told, dict(options), ["rgb"]])
        for told, options in (("as asked", {"sources": [1]}), ("as asked", {}), ("else", {}))
    ]
    assert folders[0] == folders[1] != folders[2]
    assert folders[0].parent == tmp_path


def test_what_cannot_be_ablated_is_refused(miniature, tmp_path):
    root = miniature("mvtec3d")
    with pytest.raises(CardError, match=r"one sensor only \(rgb\): there is nothing to ablate"):
        ablate("mvtec3d", root, tmp_path, settings=Settings(sensors=("rgb",)))
    with pytest.raises(UnknownNameError, match="no kind of fusion named 'magic'; there are: banks"):
        ablate("mvtec3d", root, tmp_path, kinds=["magic"])
    with pytest.raises(CardError, match="written into the data set"):
        ablate("mvtec3d", root, root / "out", settings=SETTINGS)
    with pytest.raises(CardError, match="no category named 'wheel'"):
        ablate("mvtec3d", root, tmp_path, category="wheel")


def test_the_command_prints_the_table(tmp_path, monkeypatch):
    row = {"arm": "rgb", "group": "sensor", "n_good": 3, "n_defect": 2, "image_auroc": 0.75}
    row |= {"aupro_30": None, "aupro_05": None, "recall": 1.0, "fpr": 0.0, "seconds_per_capture": 1}
    row["intervals"] = {name: [0.5, 0.9] for name in ("image_auroc", "aupro_30")}
    row["to_full"] = {"image_auroc": [-0.125, -0.25, 0.0]}
    row["to_best_sensor"] = {"image_auroc": [None, None, None]}
    told = {"rows": [row], "best_sensor": {}, "best_sensor_chosen_elsewhere": None}
    told |= {"notes": ["read this"], "refused": [], "false_alarm": 0.05}
    monkeypatch.setattr("mmdefect.ablation.ablate", lambda *_, **__: told)
    shown = CliRunner().invoke(app, ["ablate", "mvtec3d", str(tmp_path)])
    assert shown.exit_code == DONE, shown.output
    assert ".750 [.500–.900]" in shown.stdout
    assert "-.125 [-.250, +.000]" in shown.stdout
    assert "note: read this" in shown.stderr


def norm(evidence: xr.DataArray) -> xr.DataArray:
    return (evidence**2).sum("sensor", min_count=1) ** 0.5


def test_a_subset_is_judged_as_a_capture_that_lacks_the_others():
    rng = np.random.default_rng(0)
    names = ("rgb", "points", "infrared")
    held = rng.exponential(size=(60, 3))
    calibration = Calibration(names, held, held, norm)
    evidence = rng.exponential(size=(40, 3)) * 2
    evidence[3, 0] = evidence[5, 1] = evidence[7, :2] = np.nan
    scores, called = judged(calibration, evidence, ("rgb", "points"), 0.05)
    for number, row in enumerate(evidence):
        lacking = xr.Dataset(
            {
                "evidence": ("sensor", np.where([True, True, False], row, np.nan)),
                "sensor_score": ("sensor", np.where([True, True, False], row, np.nan)),
            },
            coords={"sensor": list(names)},
        )
        lacking["image_score"] = norm(lacking["evidence"])
        told = calibration.judge(lacking, 0.05)
        assert scores[number] == pytest.approx(told["image_score"].item(), nan_ok=True)
        verdict = {"good": 0.0, "defect": 1.0, "not_inspectable": np.nan}[told.attrs["verdict"]]
        assert called[number] == pytest.approx(verdict, nan_ok=True)
    assert np.isnan(called).sum() == 1
    assert 0 < np.nansum(called) < 39


def test_the_best_sensor_of_equals_is_flattered_where_it_was_chosen():
    rng = np.random.default_rng(2)
    truth = np.repeat([False, True], 60)
    kinds = ["good"] * 60 + ["scratch"] * 60
    here, elsewhere = [], []
    for seed in range(60):
        singles = [
            Measured(_arm(name), rng.normal(size=120) + truth, np.zeros(120), {}) for name in "abcd"
        ]
        pairs = [(one.scores[truth][:, None] > one.scores[~truth]).mean() for one in singles]
        here.append(max(pairs))
        elsewhere.append(chosen_elsewhere(singles, truth, kinds, seed)["image_auroc"])
    true = 0.76025  # Φ(1/√2)
    assert np.mean(here) - true > 0.03
    assert abs(np.mean(elsewhere) - true) < 0.015
    assert chosen_elsewhere(singles, np.zeros(120, dtype=bool), kinds, 0) is None


def _arm(name: str) -> Arm:
    return Arm("sensor", SimpleNamespace(kind="banks"), (name,))
