"""The plane behind the part: against the literature's recipe, and where there is none."""

import numpy as np
import open3d as o3d
import pytest

from mmdefect.errors import SceneError
from mmdefect.geometry.background import background
from mmdefect.geometry.reference import height_above_plane, height_above_reference

SIDE = 96


def table(tilt: float = 0.0, noise: float = 0.3, seed: int = 0) -> np.ndarray:
    """A bare table under a camera, in mm, as (right, down, depth) before it is a cloud."""
    y, x = (np.mgrid[:SIDE, :SIDE] - SIDE / 2) / 300
    depth = 400 / (1 - tilt * x) + np.random.default_rng(seed).normal(0, noise, x.shape)
    return np.stack([x, y, depth])


def cloud_of(rays: np.ndarray) -> np.ndarray:
    return np.stack([rays[0] * rays[2], rays[1] * rays[2], rays[2]]).astype(np.float32)


def put(rays: np.ndarray, rows: slice, columns: slice, height: float) -> np.ndarray:
    """Put a block on the table."""
    rays = rays.copy()
    rays[2, rows, columns] -= height
    return rays


def recipe(cloud: np.ndarray) -> np.ndarray:
    """The part by the literature: RANSAC at the border, 5 mm, DBSCAN, largest cluster."""
    seen = np.isfinite(cloud[0])
    edge = seen.copy()
    edge[10:-10, 10:-10] = False
    border = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud[:, edge].T.astype(float)))
    o3d.utility.random.seed(0)
    plane, _ = border.segment_plane(distance_threshold=4.0, ransac_n=3, num_iterations=1000)
    kept = seen & (np.abs(np.einsum("i,iyx->yx", plane[:3], cloud) + plane[3]) > 5.0)
    rest = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud[:, kept].T.astype(float)))
    clusters = np.asarray(rest.cluster_dbscan(eps=6.0, min_points=30))
    part = np.zeros_like(seen)
    part[kept] = clusters == np.bincount(clusters[clusters >= 0]).argmax()
    return part


def scene_rays(tilt: float = 0.0) -> np.ndarray:
    """A block on a table, before it is a cloud."""
    return put(table(tilt), slice(25, 70), slice(30, 60), 25)


def scene(kind: str) -> np.ndarray:
    rays = scene_rays(0.4 if kind == "tilted" else 0.0)
    if kind == "crumbs":
        rays = put(rays, slice(12, 16), slice(80, 86), 40)
    if kind == "two levels":
        rays = put(rays, slice(35, 50), slice(40, 60), 4)
    if kind == "touches the border":
        rays = put(rays, slice(40, 50), slice(0, 30), 25)
    cloud = cloud_of(rays)
    if kind == "holes":
        cloud[:, np.random.default_rng(1).random((SIDE, SIDE)) < 0.2] = np.nan
        cloud[:, :, 64:68] = np.nan
    if kind == "holes at the border":
        cloud[:, :6] = cloud[:, -6:] = np.nan
    return cloud


KINDS = ["plain", "tilted", "crumbs", "two levels", "touches the border", "holes",
         "holes at the border"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_part_is_that_of_the_literatures_recipe(kind):
    cloud = scene(kind)
    before = cloud.copy()
    found = background(cloud)
    part, wanted = np.isfinite(cloud[0]) & ~found.mask, recipe(cloud)
    assert (part & wanted).sum() / (part | wanted).sum() >= 0.99
    assert not found.mask[np.isnan(cloud[0])].any()
    assert found.share == pytest.approx(found.mask.sum() / np.isfinite(cloud[0]).sum())
    np.testing.assert_array_equal(cloud, before)


def test_a_part_of_two_levels_stays_whole():
    rays = put(scene_rays(), slice(35, 50), slice(40, 60), 20)
    part = ~background(cloud_of(rays)).mask
    assert part[25:70, 30:60].all()
    assert recipe(cloud_of(rays)).sum() < 0.8 * part.sum()  # a step of 20 mm parts its clusters


def test_the_plane_tells_heights_towards_the_sensor():
    cloud = scene("tilted")
    plane = background(cloud).plane
    height = np.einsum("i,iyx->yx", plane[:3], cloud) + plane[3]
    assert np.linalg.norm(plane[:3]) == pytest.approx(1)
    assert abs(np.median(height[:20])) < 0.3
    assert np.median(height[30:65, 35:55]) > 15


def test_an_empty_border_leaves_the_whole_frame_to_ask():
    cloud = scene("plain")
    cloud[:, :10] = cloud[:, -10:] = np.nan
    cloud[:, :, :10] = cloud[:, :, -10:] = np.nan
    part = np.isfinite(cloud[0]) & ~background(cloud).mask
    wanted = np.zeros((SIDE, SIDE), bool)
    wanted[25:70, 30:60] = True
    assert (part & wanted).sum() / (part | wanted).sum() > 0.97


def test_the_top_of_a_part_is_no_background():
    rays = table()
    rays[2] += 60 * (np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) / SIDE) ** 2
    rays[2, 20:76, 20:76] = 395 + np.random.default_rng(0).normal(0, 0.1, (56, 56))
    cloud = cloud_of(rays)
    cloud[:, :10] = cloud[:, -10:] = np.nan
    cloud[:, :, :10] = cloud[:, :, -10:] = np.nan
    assert background(cloud).plane is None


@pytest.mark.parametrize(
    "kind", ["all NaN", "one pixel", "one row", "bare table", "noise", "one spot", "a line"]
)
def test_where_there_is_no_part_on_a_plane_nothing_is_removed(kind):
    cloud = cloud_of(table())
    if kind == "all NaN":
        cloud[:] = np.nan
    elif kind == "one pixel":
        cloud[:, 1:] = cloud[:, :, 1:] = np.nan
    elif kind == "one row":
        cloud = cloud[:, :1]
    elif kind == "noise":
        cloud = np.random.default_rng(0).uniform(100, 200, cloud.shape).astype(np.float32)
    elif kind == "one spot":
        cloud[:] = 5
    elif kind == "a line":
        cloud[1:] = 100
    found = background(cloud)
    assert not found.mask.any()
    assert found.share == 0
    assert found.plane is None


def test_the_same_seed_removes_the_same_pixels():
    cloud = scene("holes")
    one, two = background(cloud, seed=3), background(cloud, seed=3)
    np.testing.assert_array_equal(one.mask, two.mask)
    np.testing.assert_array_equal(one.plane, two.plane)


def test_a_piece_of_a_tenth_of_the_part_stays_and_a_smaller_one_goes():
    rays = put(scene_rays(), slice(25, 41), slice(75, 85), 25)
    rays = put(rays, slice(75, 82), slice(75, 82), 25)
    mask = background(cloud_of(rays)).mask
    assert not mask[27:39, 77:83].any()
    assert mask[76:81, 76:81].all()


# ---------------------------------------------------------------- reference surface


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_a_surface_of_the_degree_is_flat_and_a_bump_on_it_keeps_its_height(degree):
    y, x = np.mgrid[:60, :80].astype(float)
    u, v = (x - 40) / 40, (y - 30) / 40
    z = 300 + 8 * u - 5 * v
    z += sum(2.0 * u**i * v ** (degree - i) for i in range(degree + 1)) if degree > 1 else 0
    z[20:30, 30:45] -= 1.5
    cloud = np.stack([x, y, z]).astype(np.float32)
    cloud[:, 40:44, 10:14] = np.nan
    height = height_above_reference(cloud, degree)
    bump = np.zeros(z.shape, bool)
    bump[20:30, 30:45] = True
    seen = np.isfinite(cloud[0])
    assert np.abs(height[seen & ~bump]).max() < 0.01
    slope = np.hypot(*np.gradient(z))[22:28, 33:42]
    np.testing.assert_allclose(height[22:28, 33:42] * np.sqrt(1 + slope**2), 1.5, rtol=0.02)
    assert np.isnan(height[~seen]).all()
    if degree > 1:
        assert np.nanmax(np.abs(height_above_reference(cloud, degree - 1)[~bump])) > 0.1


def test_height_is_positive_towards_the_sensor_in_every_frame():
    y, x = np.mgrid[:30, :30].astype(float)
    bump = ((x - 15) ** 2 + (y - 15) ** 2 < 16) * 2.0
    camera, part = np.stack([x, y, 200 - bump]), np.stack([x, 30 - y, bump])
    for cloud in (camera, part):
        assert height_above_reference(cloud)[15, 15] == pytest.approx(2, abs=0.01)
    assert height_above_plane(200 - bump)[15, 15] == pytest.approx(2, abs=0.01)


def test_a_degree_that_there_is_not_is_refused():
    with pytest.raises(SceneError, match=r"degree 5 was given, but 1 \(a plane\) to 4"):
        height_above_reference(np.zeros((3, 4, 4)), 5)
    assert np.isnan(height_above_reference(np.full((3, 4, 4), np.nan))).all()
