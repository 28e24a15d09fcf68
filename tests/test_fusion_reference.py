"""The benchmark's reference of a kind is what the best combination reaches, which is known here."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from mmdefect.metrics import auroc_replicates
from mmdefect.registry import load

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import fusion_tables
import paired_draws

SENSORS = ("rgb", "points", "infrared", "xray")
SHIFT = float(np.sqrt(2) * norm.ppf(0.961))
BEST = 0.906  # of the likelihood ratio, by 200,000 parts; the seeing sensor alone: 0.961


@pytest.fixture(scope="module")
def planted() -> fusion_tables.Product:
    """Four independent sensors; every kind of defect is seen by one of them, as well by each."""
    rng, kinds = np.random.default_rng(0), ["good"] * 400
    deviates = rng.normal(size=(800, 4))
    for number in range(4):
        deviates[400 + 100 * number : 500 + 100 * number, number] += SHIFT
        kinds += [f"kind {number}"] * 100
    own = fusion_tables.Seed(
        -norm.logsf(deviates),
        load("fusion", "late")(),
        SimpleNamespace(sensors=SENSORS),
        None,
    )
    labels = ["good" if kind == "good" else "defect" for kind in kinds]
    return fusion_tables.Product("toy", [own], None, kinds, labels, dict.fromkeys(kinds, "one"))


def test_the_reference_pays_for_the_sensors_that_see_nothing_and_for_no_more(planted, monkeypatch):
    monkeypatch.setattr(fusion_tables, "DRAWS", 2)
    told = fusion_tables.parts(planted, SENSORS, _alone(planted))
    for number, kind in enumerate(told["kinds"]):
        assert kind["best"] == SENSORS[number]
        assert kind["alone"][SENSORS[number]] == pytest.approx(0.961, abs=0.025)
    reference = np.mean([kind["reference"] for kind in told["kinds"]])
    assert reference == pytest.approx(BEST, abs=0.015)
    assert told["gain"].low > 0.1


def test_a_fusion_that_dilutes_falls_short_of_the_reference(planted, monkeypatch):
    monkeypatch.setattr(fusion_tables, "DRAWS", 2)
    diluted = planted._replace(
        seeds=[planted.seeds[0]._replace(fusion=load("fusion", "late")(rule="mean"))]
    )
    told = fusion_tables.parts(diluted, SENSORS, _alone(diluted))
    assert np.mean([kind["gain"].value for kind in told["kinds"]]) < -0.01


def test_stand_ins_keep_the_seeing_sensor_and_nothing_else(planted):
    made = fusion_tables.stand_ins(planted, planted.seeds[0], SENSORS, "kind 2", "infrared", 0)
    own = planted.seeds[0].evidence[planted.of("kind 2")]
    np.testing.assert_array_equal(made[:, 2], own[:, 2])
    good = planted.seeds[0].evidence[planted.good]
    for row in made[:, [0, 1, 3]]:
        assert (good[:, [0, 1, 3]] == row).all(1).any()
    assert auroc_replicates(good[:, 2], made[:, 2], replicates=0)[0] > 0.93


def _alone(product: fusion_tables.Product) -> dict[str, list[np.ndarray]]:
    return {name: fusion_tables.scores(product, (name,)) for name in SENSORS}


def test_replicates_are_those_of_the_metric():
    drawn = np.random.default_rng(1).normal(size=(2, 90)).round(1)
    own = [(seed[:40], seed[40:] + 0.5) for seed in drawn]
    found = paired_draws.replicated(
        np.mean([paired_draws.wins(good, bad) for good, bad in own], axis=0)
    )
    wanted = np.mean([auroc_replicates(good, bad) for good, bad in own], axis=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
