"""Signs of a sensor's state: planted offsets and displacements are found, defects do not pull."""

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from mmdefect.familiar import Familiar, coarse
from mmdefect.scene import blank_frame, new_scene
from mmdefect.signs import SIGNS, displaced, signs_of, with_signs

RNG = np.random.default_rng(0)
PART = ndimage.gaussian_filter(RNG.normal(size=(96, 96)), 6) * 60


def scene(level: float = 295.0, shift: tuple[float, float] = (0, 0), seed: int = 0) -> xr.Dataset:
    """A warm part, and a blind colour camera; shifted by whole pixels down and to the right."""
    noise = np.random.default_rng(seed).normal(size=PART.shape) * 0.05
    values = ndimage.shift(PART, shift, order=0, mode="nearest") + level + noise
    frame = xr.DataArray(
        values.astype(np.float32), dims=("y", "x"), attrs={"modality": "infrared", "units": "K"}
    )
    frames = {"rgb": blank_frame("rgb", "1", 96, 96), "infrared": frame}
    return new_scene(frames, reference="rgb", attrs={"capture": str(seed)})


@pytest.fixture(scope="module")
def familiar() -> Familiar:
    return Familiar.learn([scene(295 + seed % 3, seed=seed) for seed in range(12)])


def test_an_offset_is_a_level_and_leaves_the_picture_in_its_place(familiar):
    usual, more = (signs_of(scene(k), familiar, ["rgb", "infrared"]) for k in (295.0, 297.0))
    assert np.isnan(usual[0]).all()
    assert more[1, 0] - usual[1, 0] == pytest.approx(2, abs=1e-3)
    assert more[1, 1:] == pytest.approx(usual[1, 1:], abs=1e-3)


@pytest.mark.parametrize("shift", [(0, 1), (1, 0), (-1, 2)])
def test_a_pushed_camera_is_told_by_how_far(familiar, shift):
    usual, pushed = (signs_of(scene(shift=s), familiar, ["infrared"])[0] for s in ((0, 0), shift))
    # a cell is four pixels wide; one step of least squares falls short of large displacements
    assert pushed[1:] - usual[1:] == pytest.approx(np.array(shift[::-1]) / 4, abs=0.08)


def test_a_defect_does_not_pull(familiar):
    hot = scene()
    hot["infrared"][20:32, 40:52] += 40
    told = signs_of(hot, familiar, ["infrared"])[0]
    usual = signs_of(scene(), familiar, ["infrared"])[0]
    assert np.abs(told[1:] - usual[1:]).max() < 0.06


def test_what_shows_nothing_lies_nowhere(familiar):
    cells = coarse(scene()["infrared"])
    mean, spread = familiar.mean["infrared"], familiar.spread["infrared"]
    assert np.isnan(displaced(cells, np.zeros_like(mean), spread)).all()
    assert np.isnan(displaced(cells[:20], mean, spread)).all()
    assert np.isnan(displaced(np.full_like(cells, np.nan), mean, spread)).all()
    assert np.isnan(signs_of(scene(), Familiar(), ["infrared"])[0, 1:]).all()


def test_a_prediction_carries_the_signs_of_its_sensors(familiar):
    said = xr.Dataset(coords={"sensor": ["infrared", "rgb"]})
    told = with_signs(said, scene(), familiar)["signs"]
    assert told.dims == ("sensor", "sign")
    assert told["sign"].values.tolist() == list(SIGNS)
    assert told.sel(sensor="infrared", sign="level") == pytest.approx(295, abs=1)
    assert told.sel(sensor="rgb").isnull().all()
