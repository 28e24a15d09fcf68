"""Clouds laid onto a reference part: found, bounded, and refused where nothing pins them down."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmdefect.errors import RegistrationError
from mmdefect.registration import Bounds, Pose, align_to_part

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from align_to_part import off, part, seated


@pytest.fixture(scope="module")
def reference():
    return part(np.random.default_rng(1), 6000)


@pytest.mark.parametrize("coloured", [True, False])
def test_a_part_is_found_where_it_was_put(reference, coloured):
    rng = np.random.default_rng(2)
    points, grey = part(rng, 4000, noise=0.03)
    true = seated(rng, 0.8, 1.0)
    cloud = true.out_of(points)
    cloud[::50] = np.nan
    colours = (grey, reference[1]) if coloured else (None, None)
    found = align_to_part(cloud, reference[0], *colours)
    assert off(found, true, points) < 0.05
    assert found.fitness > 0.95
    assert found.rmse < 0.5
    assert 0.5 < found.moved < 3
    again = align_to_part(cloud, reference[0], *colours)
    assert np.allclose(again.pose.translation, found.pose.translation, atol=1e-4)


def test_a_start_takes_a_cloud_from_far_away(reference):
    rng = np.random.default_rng(3)
    points, grey = part(rng, 4000, noise=0.03)
    true = Pose(Rotation.from_euler("xyz", [0.2, 0.1, 2.0]).as_matrix(), np.array([100.0, 50, 400]))
    nudge = seated(rng, 0.5, 0.5)
    start = Pose(nudge.rotation @ true.rotation, nudge.into(true.translation[None])[0])
    found = align_to_part(true.out_of(points), reference[0], grey, reference[1], start=start)
    assert off(found, true, points) < 0.05
    with pytest.raises(RegistrationError, match="find a partner"):
        align_to_part(true.out_of(points), reference[0], grey, reference[1])


def test_colours_hold_a_flat_part_that_shape_lets_slide():
    rng = np.random.default_rng(4)
    flat, print_ = part(rng, 6000, shape=False, noise=0.01)
    points, grey = part(rng, 4000, shape=False, noise=0.01)
    true = Pose(np.eye(3), np.array([0.5, -0.4, 0.1]))
    cloud = true.out_of(points)
    found = align_to_part(cloud, flat, grey, print_)
    assert off(found, true, points) < 0.1
    with pytest.raises(RegistrationError, match="do not pin the part down"):
        align_to_part(cloud, flat)


def test_further_than_the_fixture_allows_is_refused(reference):
    rng = np.random.default_rng(5)
    points, grey = part(rng, 4000)
    cloud = Pose(np.eye(3), np.array([1.2, 0, 0])).out_of(points)
    with pytest.raises(RegistrationError, match=r"would have to move by 1\.2 mm, but at most 0\.5"):
        align_to_part(cloud, reference[0], grey, reference[1], bounds=Bounds(moved=0.5))


def test_another_part_is_refused(reference):
    rng = np.random.default_rng(6)
    points, grey = part(rng, 4000)
    points[:, 2] += 4 * np.sin(points[:, 0] / 4)
    with pytest.raises(RegistrationError, match=r"find a partner|apart"):
        align_to_part(points, reference[0], grey, reference[1])


def test_what_does_not_fit_is_refused(reference):
    points, grey = part(np.random.default_rng(7), 500)
    with pytest.raises(RegistrationError, match=r"\(…, 3\) was promised"):
        align_to_part(points[:, :2], reference[0])
    with pytest.raises(RegistrationError, match="colours have the shape"):
        align_to_part(points, reference[0], grey[1:], reference[1])
    with pytest.raises(RegistrationError, match="both or neither"):
        align_to_part(points, reference[0], grey)
    with pytest.raises(RegistrationError, match="0 points, but 100 are the least"):
        align_to_part(np.full((10, 10, 3), np.nan), reference[0])


def test_without_open3d_the_remedy_is_named(monkeypatch, reference):
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(RegistrationError, match="install open3d"):
        align_to_part(reference[0], reference[0])
