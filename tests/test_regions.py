"""Regions: planted places are found with their size, their sensors and their p-value."""

from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from mmdefect.judging import Judge, places_to_regions
from mmdefect.peaks import Peaks
from mmdefect.regions import components, level_of, sized, surface_area
from mmdefect.registry import load
from mmdefect.scene import new_scene
from mmdefect.verdict import Calibration
from mmdefect.zones import Place, Zones

CHECK = settings(derandomize=True, database=None, deadline=None, max_examples=60)
NAN = float("nan")
COMBINE = load("fusion", "late")().combine


# ---------------------------------------------------------------- areas


def cloud(x, y, z, unit: str = "mm") -> xr.DataArray:
    return xr.DataArray(
        np.stack([x, y, z]).astype(np.float32),
        dims=("axis", "y", "x"),
        coords={"axis": ["x", "y", "z"]},
        attrs={"modality": "points", "units": unit},
    )


def scene_of(points: xr.DataArray) -> xr.Dataset:
    return new_scene({"points": points}, reference="points")


@pytest.mark.parametrize(("slope", "pitch"), [(0.0, 0.5), (1.0, 0.5), (2.5, 0.1)])
def test_a_tilted_plane_counts_with_its_true_area(slope, pitch):
    y, x = np.mgrid[:20, :30] * pitch
    area = surface_area(scene_of(cloud(x, y, 300 - slope * x)))
    np.testing.assert_allclose(area, pitch**2 * np.sqrt(1 + slope**2), rtol=2e-3)
    inside = np.zeros((20, 30), bool)
    inside[5:15, 10:20] = True
    wanted = 100 * pitch**2 * np.sqrt(1 + slope**2)
    assert sized(inside, area) == pytest.approx(wanted, rel=2e-3)


def test_a_sphere_seen_from_above_has_the_area_of_its_cap():
    y, x = np.mgrid[-60:61, -60:61] * 0.5
    radius = 100.0
    z = np.sqrt(radius**2 - x**2 - y**2)
    cap = np.hypot(x, y) <= 25.0
    found = sized(cap, surface_area(scene_of(cloud(x, y, z))))
    wanted = 2 * np.pi * radius * (radius - np.sqrt(radius**2 - 25.0**2))
    assert found == pytest.approx(wanted, rel=0.01)


def test_holes_and_steps_do_not_add_area():
    y, x = np.mgrid[:20, :20] * 0.5
    z = np.where(x < 5, 300.0, 200.0)  # a cliff of 100 mm between two flat halves
    points = cloud(x, y, z)
    points[:, 8:12, 3:6] = NAN
    area = surface_area(scene_of(points))
    assert np.isnan(area[8:12, 3:6]).all()
    np.testing.assert_allclose(area[np.isfinite(area)], 0.25, rtol=1e-3)
    assert sized(np.ones((20, 20), bool), area) == pytest.approx(400 * 0.25, rel=1e-3)


def test_a_cloud_shown_on_a_finer_grid_keeps_its_area():
    y, x = np.mgrid[:20, :20] * 0.5
    fine = cloud(*(plane.repeat(2, 0).repeat(2, 1) for plane in (x, y, 300 + 0 * x)))
    assert sized(np.ones((40, 40), bool), surface_area(scene_of(fine))) == pytest.approx(
        100, rel=0.15
    )


def test_without_millimetres_there_is_no_area():
    y, x = np.mgrid[:8, :8] * 0.5
    assert surface_area(scene_of(cloud(x, y, x, "relative"))) is None
    assert sized(np.ones((8, 8), bool), None) is None
    blind = scene_of(cloud(NAN * x, y, x))
    assert surface_area(blind) is None


# ---------------------------------------------------------------- levels and components


def brute_level(evidence, inside, least, area) -> float:
    """Try every value as a level, from the highest down."""
    for value in np.unique(evidence[inside & np.isfinite(evidence)])[::-1]:
        labels, count = label(inside & (evidence >= value), np.ones((3, 3)))
        if any(area[labels == n].sum() >= least for n in range(1, count + 1)):
            return float(value)
    return -np.inf if np.isfinite(evidence[inside]).any() else NAN


@given(
    arrays(np.float32, (6, 7), elements=st.sampled_from([0, 1, 2, 3, 4, NAN])),
    arrays(np.bool_, (6, 7)),
    st.sampled_from([0.5, 1.0, 2.0, 5.0, 60.0]),
    st.integers(0, 3),
)
@CHECK
def test_the_level_is_the_highest_at_which_the_least_area_hangs_together(
    evidence, inside, least, seed
):
    area = np.random.default_rng(seed).uniform(0.5, 1.5, evidence.shape).astype(np.float32)
    found = level_of(evidence, inside, least, area)
    assert found == brute_level(evidence, inside, least, area) or (
        np.isnan(found) and np.isnan(brute_level(evidence, inside, least, area))
    )
    if np.isfinite(found):
        assert components(evidence, inside, found - 0.5, least, area)
        assert not components(evidence, inside, found, least, area)


def test_without_a_least_area_the_level_is_the_maximum():
    evidence = np.array([[1.0, 5.0], [NAN, 9.0]], np.float32)
    inside = np.array([[True, True], [True, False]])
    assert level_of(evidence, inside) == 5.0
    assert np.isnan(level_of(evidence, ~inside & False))


def test_components_touch_by_their_corners_and_the_highest_comes_first():
    evidence = np.zeros((6, 9), np.float32)
    evidence[1, 1] = evidence[2, 2] = 3.0  # one place, by a corner
    evidence[4, 6:8] = 5.0
    high, low = components(evidence, np.ones((6, 9), bool), 1.0)
    assert (high.sum(), low.sum()) == (2, 2)
    assert high[4, 6]
    assert low[1, 1]
    area = np.ones((6, 9), np.float32)
    area[4, 6:8] = 4.0
    assert len(components(evidence, np.ones((6, 9), bool), 1.0, 5.0, area)) == 1


# ---------------------------------------------------------------- regions of predictions


def prediction_of(maps: dict[str, np.ndarray]) -> xr.Dataset:
    shape = next(iter(maps.values())).shape
    return xr.Dataset(
        {"evidence_map": (("sensor", "y", "x"), np.stack(list(maps.values())).astype(np.float32))},
        coords={
            "sensor": list(maps),
            "grid": ("sensor", ["rgb"] * len(maps)),
            "y": np.arange(float(shape[0])),
            "x": np.arange(float(shape[1])),
        },
        attrs={"reference": "rgb"},
    )


def noise(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: rng.exponential(1.0, (24, 32)) for name in ("rgb", "points", "infrared")}


@pytest.fixture(scope="module")
def judge() -> Judge:
    """Forty good parts of nothing but noise."""
    rng = np.random.default_rng(0)
    places = [Place("part", "rgb", np.ones((24, 32), bool), 0.0, 1.0)]
    peaks = Peaks(("part",))
    peaks.add([peaks.measure(prediction_of(noise(rng)), places, COMBINE) for _ in range(40)])
    blank = np.zeros((40, 3))
    return Judge(Calibration(("rgb", "points", "infrared"), blank, blank, COMBINE), peaks, 0.1)


PLACES = [Place("part", "rgb", np.ones((24, 32), bool), 0.0, 1.0)]


def regions(judge: Judge, maps: dict[str, np.ndarray], area=None):
    return places_to_regions(judge, prediction_of(maps), PLACES, {"rgb": area})


def test_a_planted_region_is_told_with_its_place_size_and_sensors(judge):
    maps = noise(np.random.default_rng(99))
    maps["points"][5:9, 10:16] = 30.0
    maps["points"][7, 12] = 31.0
    maps["infrared"][6:8, 11:14] = 25.0
    area = np.full((24, 32), 0.25, np.float32)
    area[5, 10] = NAN
    first = regions(judge, maps, area)[0]
    assert first.box == (10, 5, 16, 9)
    assert first.area_px == 24
    assert first.area_mm2 == pytest.approx(6.0)
    assert first.peak == (12, 7)
    assert first.sensors == ("points", "infrared")
    assert first.p_value == 1 / 41
    assert first.place == "part"


def test_a_part_that_lacks_a_sensor_is_held_against_the_others(judge):
    maps = noise(np.random.default_rng(5))
    maps["points"][5:9, 10:16] = 30.0
    maps["rgb"][:] = NAN
    assert regions(judge, maps)[0].sensors == ("points",)
    alone = {name: maps[name] for name in ("points", "infrared")}
    used = judge.used(prediction_of(maps), PLACES[0])
    assert used == ("points", "infrared")
    assert regions(judge, alone)[0].p_value == regions(judge, maps)[0].p_value
    blind = {name: np.full((24, 32), NAN) for name in maps}
    assert regions(judge, blind) == []


def test_the_p_value_is_family_wise():
    """Of good parts, any region at all is below α at most at the rate α."""
    rng = np.random.default_rng(3)
    rate, draws, alarms = 0.2, 300, 0
    place = Place("part", "rgb", np.ones((8, 9), bool), 0.0, 1.0)
    for _ in range(draws):
        *good, tested = rng.exponential(1.0, (20, 8, 9))
        highest = np.max(good, axis=(1, 2))[:, None]
        peaks = Peaks(("part",), {("rgb",): highest})
        blank = np.zeros((19, 1))
        judge = Judge(Calibration(("rgb",), blank, blank, COMBINE), peaks, rate)
        found = places_to_regions(judge, prediction_of({"rgb": tested}), [place], {"rgb": None})
        alarms += any(region.p_value <= rate for region in found)
    deviation = np.sqrt(rate * (1 - rate) / draws)
    assert rate - 3.5 * deviation <= alarms / draws <= rate + 3.5 * deviation


def test_levels_are_kept_for_every_set_of_sensors_and_survive_a_file(judge):
    names = ("rgb", "points", "infrared")
    sets = {c for size in (1, 2, 3) for c in combinations(names, size)}
    assert set(judge.peaks.levels) == sets
    again = Peaks.from_state(*judge.peaks.state())
    assert again.places == ("part",)
    for key in sets:
        np.testing.assert_array_equal(again.levels[key], judge.peaks.levels[key])
    whole = judge.peaks.of(names, "part")
    assert all((whole >= judge.peaks.of((name,), "part")).all() for name in names)


def test_parts_that_lack_a_sensor_do_not_count_for_its_sets():
    peaks = Peaks(("part",))
    place = [PLACES[0]._replace(pixels=np.ones((2, 2), bool))]
    full = prediction_of({"rgb": np.ones((2, 2)), "points": 2 * np.ones((2, 2))})
    half = prediction_of({"rgb": 3 * np.ones((2, 2)), "points": np.full((2, 2), NAN)})
    peaks.add([peaks.measure(full, place, COMBINE)])
    peaks.add([peaks.measure(half, place, COMBINE)] * 2)
    assert peaks.of(("rgb",), "part").tolist() == [1.0, 3.0, 3.0]
    assert peaks.of(("points",), "part").tolist() == [2.0]
    assert peaks.usable(("rgb", "points"), "part", 2) == ("rgb",)
    assert peaks.usable(("rgb", "points"), "part", 9) == ("rgb", "points")
    assert Zones().places(scene_of(cloud(*np.zeros((3, 2, 2)))))[0].pixels.all()
