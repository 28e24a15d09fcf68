"""Registration against what open3d's ray caster and OpenCV know of a planted part."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SIZE = 256


@pytest.fixture(scope="module")
def benchmarks():
    """The measuring code, which is shared with the benchmarks."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield [importlib.import_module(name) for name in ("planted", "registration_truth")]
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def measured(benchmarks):
    """What was found on two planted captures, by reference and sensor."""
    planted, measuring = benchmarks
    found = {}
    for reference, sensors in (
        ("rgb", ["infrared", "xray"]),
        ("points", ["rgb", "infrared", "xray"]),
    ):
        rig = planted.make_rig(SIZE, reference)
        for number in range(2):
            rng = np.random.default_rng([7, number])
            caster = planted.make_caster(rng)
            cloud = planted.scan(caster, rig, rng, 0.05, measuring.cast).frame
            for name, one in measuring.measure(caster, rig, cloud, sensors).items():
                found.setdefault((reference, name), []).append(one)
    return found


CASES = [(r, s) for r in ("rgb", "points") for s in ("rgb", "infrared", "xray") if r != s]


@pytest.mark.parametrize(("reference", "sensor"), CASES)
def test_sensors_are_sampled_where_the_reference_looks(measured, reference, sensor):
    errors = np.concatenate([one.errors for one in measured[reference, sensor]])
    assert len(errors) > 0.8 * 2 * SIZE * SIZE
    assert np.median(errors) <= 0.1
    assert np.percentile(errors, 95) <= 0.5


@pytest.mark.parametrize("reference", ["rgb", "points"])
def test_what_a_sensor_cannot_see_is_called_hidden_and_nothing_else(measured, reference):
    found = measured[reference, "infrared"]
    called, rightly, hidden = (
        sum(getattr(one, key) for one in found) for key in ("called", "rightly", "hidden")
    )
    assert hidden > 50
    assert rightly >= 0.99 * called
    assert rightly >= 0.95 * hidden


@pytest.mark.parametrize("reference", ["rgb", "points"])
def test_a_camera_that_looks_through_the_part_is_never_occluded(measured, reference):
    assert sum(one.called for one in measured[reference, "xray"]) == 0


def test_points_seen_from_elsewhere_lie_on_the_part_and_nowhere_else(benchmarks):
    from mmdefect.registration.placing import Registration

    planted, measuring = benchmarks
    rig, rng = planted.make_rig(SIZE), np.random.default_rng(3)
    caster = planted.make_caster(rng)
    cloud = planted.scan(caster, rig, rng, 0.04, measuring.cast).frame
    points = Registration(rig).place({"points": cloud}).frames["points"].values
    true = np.moveaxis(measuring.cast(caster, rig.cameras["rgb"])[0], -1, 0)
    known = np.isfinite(points[2])
    off = np.abs(points[2] - true[2])[known]
    assert 0.85 < known.mean() < 1
    assert np.median(off) < 0.05
    assert np.percentile(off, 99) < 0.3
    columns = rig.cameras["rgb"].project(np.moveaxis(points, 0, -1)[known].astype(float))
    rows, wanted = np.nonzero(known)
    assert np.abs(columns - np.stack([wanted, rows], -1)).max() < 1e-3


def test_what_was_placed_is_not_touched_by_the_next_capture(benchmarks):
    from mmdefect.registration.placing import Registration

    planted, measuring = benchmarks
    rig, rng = planted.make_rig(64), np.random.default_rng(5)
    registration, told = Registration(rig), []
    for _ in range(2):
        caster = planted.make_caster(rng)
        frames = {"points": planted.scan(caster, rig, rng, 0.04, measuring.cast).frame}
        camera = rig.cameras["infrared"]
        values = rng.random((camera.height, camera.width), dtype=np.float32)
        frames["infrared"] = xr.DataArray(
            values, dims=("y", "x"), attrs={"modality": "infrared", "units": "K"}
        )
        placed = registration.place(frames).frames
        told.append((placed, {name: frame.values.copy() for name, frame in placed.items()}))
    for placed, before in told:
        for name, frame in placed.items():
            np.testing.assert_array_equal(frame.values, before[name])
