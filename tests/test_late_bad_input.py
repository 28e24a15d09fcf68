"""Late fusion given too little, or what does not fit: documented behaviour, clear errors."""

import numpy as np
import pytest
import xarray as xr

from mmdefect.errors import SceneError
from mmdefect.fusion.late import Late
from mmdefect.inspection import Inspection
from mmdefect.scene import new_scene

SENSORS = ("hot", "cold")


def scene(seed: int, side: int = 24, *, blind: tuple[str, ...] = (), **grids: str) -> xr.Dataset:
    """A plate before two thermal cameras; those named in ``grids`` stand on a grid of their own."""
    frames = {}
    for number, name in enumerate(SENSORS):
        kelvin = 300 + np.random.default_rng([seed, number]).standard_normal((side, side))
        kelvin = np.full_like(kelvin, np.nan) if name in blind else kelvin
        frames[name] = xr.DataArray(
            kelvin.astype(np.float32),
            dims=("y", "x"),
            attrs={"modality": "infrared", "units": "K"},
        )
    return new_scene(
        frames, reference="hot", grids={name: grids.get(name, "hot") for name in SENSORS}
    )


def test_one_capture_gives_scores_and_promises_nothing():
    inspection = Inspection(Late(), 0.05).fit([scene(0)], [])
    told = inspection.predict(scene(1))
    assert np.isfinite(told["image_score"])
    assert np.isfinite(told["anomaly_map"]).all()
    assert told.attrs["verdict"] == "refer"
    assert "threshold" not in told.attrs
    assert inspection.smallest_false_alarm == 1.0


def test_a_sensor_that_was_always_blind_is_as_if_it_were_not_there():
    good = [scene(k, blind=("cold",)) for k in range(6)]
    inspection = Inspection(Late(), 0.3).fit(good, [scene(k, blind=("cold",)) for k in (7, 8, 9)])
    for blind in ((), ("cold",)):
        told = inspection.predict(scene(20, blind=blind))
        assert np.isnan(told["evidence"].sel(sensor="cold"))
        assert np.isfinite(told["image_score"])
        assert told.attrs["verdict"] in ("good", "defect")
    nothing = inspection.predict(scene(20, blind=("hot",)))
    assert nothing.attrs["verdict"] == "not_inspectable"


def test_parts_of_which_no_sensor_saw_anything_teach_nothing_and_nothing_is_inspectable():
    inspection = Inspection(Late(), 0.3).fit(
        [scene(k, blind=SENSORS) for k in range(3)], [scene(9, blind=SENSORS)]
    )
    told = inspection.predict(scene(1))
    assert np.isnan(told["image_score"])
    assert np.isnan(told["anomaly_map"]).all()
    assert told.attrs["verdict"] == "not_inspectable"


def test_a_sensor_on_a_grid_of_its_own_counts_for_the_part_and_not_for_the_map():
    fusion = Late().fit([scene(k, cold="own") for k in range(4)])
    told = fusion.predict(scene(9, cold="own"))
    alone = fusion.combine(told["evidence_map"].sel(sensor=["hot"]))
    xr.testing.assert_equal(told["anomaly_map"], alone)
    xr.testing.assert_equal(told["image_score"], fusion.combine(told["evidence"]))


def test_parts_of_several_sizes_have_no_places_and_other_sizes_are_refused_by_an_inspection():
    mixed = [scene(k, side) for k, side in enumerate((24, 32, 24, 32))]
    with pytest.raises(SceneError, match=r"maps of 2 sizes were found, .*onto one grid"):
        Late(places=True).fit(mixed)
    inspection = Inspection(Late(), 0.05).fit([scene(k) for k in range(2)], [])
    with pytest.raises(SceneError, match="the scene has 32x32 pixels, but 24x24 were learnt"):
        inspection.predict(scene(5, 32))


def test_a_scene_that_lacks_a_sensor_is_told_which():
    fusion = Late().fit([scene(0)])
    lacking = scene(1).drop_vars("cold").sel(sensor=["hot"])
    with pytest.raises(SceneError, match="but hot, cold were learnt; give 'cold' too"):
        fusion.predict(lacking)
