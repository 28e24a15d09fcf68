"""Explainers within a sensor: where they point, and what they sum to."""

import numpy as np
import pytest
from plates import PLACE, SIDE, plate

from mmdefect.detectors.memory_bank import MemoryBank
from mmdefect.errors import MmdefectError
from mmdefect.explain.occlusion import Occlusion, covered
from mmdefect.registry import load


@pytest.fixture(scope="module")
def late():
    return load("fusion", "late")(sensors=("points", "infrared")).fit([plate(n) for n in range(12)])


def on_place(pixels: np.ndarray, margin: int = 4) -> bool:
    y, x = np.unravel_index(int(np.nanargmax(pixels)), pixels.shape)
    rows, columns = PLACE
    return (rows.start - margin <= y < rows.stop + margin) and (
        columns.start - margin <= x < columns.stop + margin
    )


def test_occlusion_points_at_the_defect_of_the_sensor_that_sees_it(late):
    seen = plate(500, hot=True)
    told = load("explain", "occlusion")().attribute(late, late.predict(seen), seen)
    falls = told["attribution"].to_series()
    assert on_place(told["attribution_map"].sel(sensor="infrared").values)
    assert falls["infrared"] > 4 * falls["points"]


def test_occlusion_asks_a_fusion_that_has_no_detectors(late):
    class Whole:
        """Only what every fusion has."""

        predict = staticmethod(late.predict)

    seen = plate(500, hot=True)
    told = Occlusion(4).attribute(Whole(), late.predict(seen), seen)
    assert on_place(told["attribution_map"].sel(sensor="infrared").values, 8)


def test_what_is_covered_is_smooth_and_what_was_blind_stays_blind():
    window = (slice(10, 20), slice(10, 20))
    scene = plate(1, hot=True)
    scene["infrared"].values[12, 12] = np.nan
    made = covered(scene, "infrared", window)["infrared"].values
    own = scene["infrared"].values
    assert np.isnan(made[12, 12])
    inside = np.zeros(own.shape, dtype=bool)
    inside[window] = True
    np.testing.assert_array_equal(made[~inside], own[~inside])
    border = own[9:21, 9:21]
    assert np.nanmin(made[window]) >= np.nanmin(border) - 1e-3
    assert np.nanstd(np.diff(made[window], axis=0)) < np.nanstd(np.diff(own[window], axis=0))
    y, x = np.mgrid[:12, :12].astype(np.float32)
    flat = scene.copy()
    flat["infrared"].values[4:16, 4:16] = x + 2 * y  # a plane is what its border suggests
    again = covered(flat, "infrared", (slice(5, 15), slice(5, 15)))["infrared"].values
    np.testing.assert_allclose(again[4:16, 4:16], x + 2 * y, atol=0.3)


@pytest.mark.parametrize("options", [{"windows": 0}, {"strangest": 0.0}, {"strangest": 2.0}])
def test_windows_that_cannot_be_asked_are_refused(options):
    with pytest.raises(MmdefectError, match="were promised"):
        Occlusion(**options)


def test_channels_of_a_detector_without_patches_are_refused(late):
    gaussian = load("fusion", "late")(sensors=("infrared",), detector="gaussian")
    gaussian.fit([plate(n) for n in range(8)])
    seen = plate(500)
    with pytest.raises(MmdefectError, match=r"keeps no good patches .* ask 'occlusion'"):
        load("explain", "channels")().attribute(gaussian, gaussian.predict(seen), seen)


# ---------------------------------------------------------------- gradients


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> str:
    import timm
    import torch

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save(timm.create_model("resnet10t", num_classes=3).state_dict(), path)
    return f"timm:resnet10t@{path}?stages=1&size=64"


def test_gradients_sum_to_the_patch_s_score_less_the_blurred_frame_s(network):
    pytest.importorskip("captum")
    late = load("fusion", "late")(sensors=("infrared",), features={"infrared": network})
    late.fit([plate(n) for n in range(8)])
    seen = plate(500, hot=True)
    told = load("explain", "gradients")().attribute(late, late.predict(seen), seen)
    match = late.detectors_["infrared"].recall(seen).match(np.ones((SIDE, SIDE), dtype=bool), 1)
    assert told["patch_score"].item() == pytest.approx(match.score, rel=1e-3)
    above = told["attribution"].item()
    assert float(told["attribution_map"].sum()) == pytest.approx(above, rel=0.05, abs=0.02)
    strength = np.abs(told["attribution_map"].values[0])
    rows, columns = PLACE
    near = strength[rows.start - 6 : rows.stop + 6, columns.start - 6 : columns.stop + 6]
    assert near.mean() > 2 * strength.mean()


def test_gradients_without_captum_say_what_to_install(network, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    late = load("fusion", "late")(sensors=("infrared",), features={"infrared": network})
    late.fit([plate(n) for n in range(4)])
    with pytest.raises(MmdefectError, match=r"captum's, .* pip install 'mmdefect\[explain\]'"):
        load("explain", "gradients")().attribute(late, late.predict(plate(9)), plate(9))


def test_a_bank_that_knows_no_part_has_no_strangest_patch():
    blind = MemoryBank("xray").fit([plate(n, blind=("xray",)) for n in range(2)])
    everywhere = np.ones((SIDE, SIDE), dtype=bool)
    memory = blind.recall(plate(5))
    assert memory.match(everywhere) is None
    assert memory.aim(everywhere) is None
    assert np.isnan(memory.by_group()).all()
