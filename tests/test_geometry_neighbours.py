"""What lies near a point, found on the grid: against Open3D's tree, by hand, and with holes."""

import numpy as np
import open3d as o3d
import pytest

from mmdefect import jit
from mmdefect.errors import SceneError
from mmdefect.geometry import grid
from mmdefect.geometry.curvature import mean_curvature
from mmdefect.geometry.fpfh import fpfh
from mmdefect.geometry.normals import local_planes


def camera_cloud(height: int, width: int, kind: str, seed: int = 0) -> np.ndarray:
    """What a camera sees of a bumpy plate with a step, in mm, with single holes and a large one."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    right, down = (x - width / 2) / 150, (y - height / 2) / 150
    depth = 300 - 12 * np.exp(-((x - width / 2) ** 2 + (y - height / 2) ** 2) / 150)
    depth += {"tilted": 250 * right, "steep": 500 * down}.get(kind, 0.0)
    depth[height // 5 : height // 3, width // 5 : width // 2] -= 6
    depth += rng.normal(0, 0.2, depth.shape)
    cloud = np.stack([right * depth, down * depth, depth])
    cloud[:, rng.random(depth.shape) < 0.1] = np.nan
    cloud[:, height // 2 : height // 2 + 6, 5:20] = np.nan
    if kind == "part":  # the same in the axes of a part: z up, turned about it
        turn = np.array([[0.8, 0.6, 0], [0.6, -0.8, 0], [0, 0, -1]])
        cloud = np.einsum("ij,jyx->iyx", turn, cloud) + np.array([10, -5, 300])[:, None, None]
    if kind == "sheared":
        cloud[0] += 0.8 * cloud[1]
    return cloud.astype(np.float32)


KINDS = ["flat", "tilted", "steep", "part", "sheared"]


def tree_of(cloud: np.ndarray, normals: np.ndarray | None = None):
    """The same points as Open3D's cloud, and where they lie in the grid."""
    seen = np.isfinite(cloud[0])
    tree = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud[:, seen].T.astype(float)))
    if normals is not None:
        tree.normals = o3d.utility.Vector3dVector(normals[:, seen].T.astype(float))
    return tree, seen


def within(radius: float) -> o3d.geometry.KDTreeSearchParamRadius:
    return o3d.geometry.KDTreeSearchParamRadius(radius)


# ---------------------------------------------------------------- normals


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("radius", [5.0, 9.0])
def test_normals_are_open3ds_with_the_same_radius(kind, radius):
    cloud = camera_cloud(50, 70, kind)
    planes = local_planes(cloud, radius)
    tree, seen = tree_of(cloud)
    tree.estimate_normals(within(radius))
    if kind == "part":
        tree.orient_normals_to_align_with_direction([0.0, 0.0, 1.0])
    else:
        tree.orient_normals_towards_camera_location([0.0, 0.0, 0.0])
    wanted = np.asarray(tree.normals).T
    cosine = (planes.normals[:, seen] * wanted).sum(0)
    lonely = np.isnan(cosine)  # fewer than three points: Open3D makes a normal up
    assert lonely.mean() < 1e-3
    cosine = cosine[~lonely]
    assert np.degrees(np.arccos(np.clip(np.abs(cosine), 0, 1))).max() < 0.1
    assert (cosine > 0).mean() > 0.999  # a normal square to its ray may turn either way
    assert np.isnan(planes.normals[:, ~seen]).all()


def test_roughness_and_variation_are_the_eigenvalues_of_the_neighbours():
    cloud, radius = camera_cloud(30, 40, "tilted"), 7.0
    planes = local_planes(cloud, radius)
    places = cloud.reshape(3, -1).T.astype(float)
    for y, x in [(15, 20), (0, 0), (8, 12), (29, 39)]:
        if not np.isfinite(cloud[0, y, x]):
            continue
        near = places[np.linalg.norm(places - cloud[:, y, x], axis=1) <= radius]
        roots = np.linalg.eigvalsh(np.cov(near.T, bias=True))
        np.testing.assert_allclose(planes.roughness[y, x], np.sqrt(roots[0]), rtol=1e-3)
        np.testing.assert_allclose(planes.variation[y, x], roots[0] / roots.sum(), rtol=1e-3)


def test_normals_look_at_the_sensor_in_a_cameras_and_in_a_parts_frame():
    y, x = np.mgrid[:20, :20].astype(np.float32)
    for flat, up in [
        (np.stack([x - 10, y - 10, np.full_like(x, 50.0)]), -1),
        (np.stack([x - 10, 10 - y, np.full_like(x, -50.0)]), 1),
        (np.stack([x, 20 - y, np.full_like(x, 3.0)]), 1),
        (np.stack([x, 20 - y, 0.01 * (x - 10)]), 1),
    ]:
        normals = local_planes(flat, 2.5).normals
        np.testing.assert_allclose(normals[2], up, atol=1e-3)


def test_two_points_or_a_line_have_no_plane():
    cloud = np.full((3, 9, 9), np.nan, dtype=np.float32)
    cloud[:, 4, 4], cloud[:, 4, 5] = (0, 0, 100), (1, 0, 100)
    assert np.isnan(local_planes(cloud, 3.0).normals).all()
    cloud[:, 4, 6] = (2, 0, 100)
    assert np.isnan(local_planes(cloud, 3.0).normals).all()
    cloud[:, 5, 5] = (1, 1, 100)
    normals = local_planes(cloud, 3.0).normals
    np.testing.assert_allclose(normals[:, 4, 5], (0, 0, -1), atol=1e-6)
    assert np.isfinite(normals[0]).sum() == 4


# ---------------------------------------------------------------- FPFH


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("radius", [6.0, 13.0])
def test_fpfh_are_open3ds_on_the_same_neighbours(kind, radius):
    cloud = camera_cloud(50, 70, kind)
    normals = local_planes(cloud, 6.0).normals
    told = fpfh(cloud, normals, radius)
    tree, seen = tree_of(cloud, normals)
    wanted = o3d.pipelines.registration.compute_fpfh_feature(tree, within(radius)).data
    found = told[:, seen]
    assert told.shape == (33, 50, 70)
    assert told.dtype == np.float32
    assert np.isnan(told[:, ~seen]).all()
    # a pair on the edge of a bin may fall to either side in float32: one in some ten thousand
    assert (np.abs(found - wanted) > 0.01).mean() < 2e-3
    correlation = [np.corrcoef(*pair)[0, 1] for pair in zip(found.T, wanted.T, strict=True)]
    assert min(correlation) > 0.998
    np.testing.assert_allclose(found.reshape(3, 11, -1).sum(1), 200, rtol=1e-4)


def test_an_fpfh_by_hand():
    cloud = np.full((3, 3, 5), np.nan, dtype=np.float32)
    cloud[:, 1, 1], cloud[:, 1, 2] = (0, 0, 100), (1, 0, 100)
    normals = np.full_like(cloud, np.nan)
    normals[:, 1, 1] = (0, 0, -1)
    normals[:, 1, 2] = (np.sin(0.5), 0, -np.cos(0.5))
    told = fpfh(cloud, normals, 2.0)
    # the flat point's normal is square to the line, so the other one's makes the smaller angle:
    # it is s, d = (-1, 0, 0), v = (0, -1, 0), w = (-cos 0.5, 0, -sin 0.5), and so
    # w · n_t = sin 0.5, n_s · n_t = cos 0.5, phi = 0, theta = -sin 0.5
    alpha = int(11 * (0.5 + np.pi) / (2 * np.pi))
    theta = int(11 * (1 - np.sin(0.5)) / 2)
    for column in (1, 2):
        wanted = np.zeros(33)
        wanted[[alpha, 11 + 5, 22 + theta]] = 200
        np.testing.assert_allclose(told[:, 1, column], wanted, atol=1e-4)
    assert np.isfinite(told[0]).sum() == 2


def test_more_than_255_neighbours_are_counted():
    cloud = camera_cloud(40, 40, "flat")
    normals = local_planes(cloud, 8.0).normals
    radius = 26.0
    tree, seen = tree_of(cloud, normals)
    wanted = o3d.pipelines.registration.compute_fpfh_feature(tree, within(radius)).data
    assert (
        len(
            o3d.geometry.KDTreeFlann(tree).search_radius_vector_3d(
                tree.points[len(tree.points) // 2], radius
            )[1]
        )
        > 300
    )
    assert (np.abs(fpfh(cloud, normals, radius)[:, seen] - wanted) > 0.02).mean() < 2e-3


def test_points_on_one_spot_count_as_zero_angles_and_have_no_weight():
    cloud = np.repeat(camera_cloud(16, 12, "flat"), 2, axis=2)  # an enlarged picture
    normals = local_planes(cloud, 9.0).normals
    tree, seen = tree_of(cloud, normals)
    wanted = o3d.pipelines.registration.compute_fpfh_feature(tree, within(9.0)).data
    found = fpfh(cloud, normals, 9.0)[:, seen]
    assert (np.abs(found - wanted) > 0.01).mean() < 5e-3


def test_a_hole_is_the_same_as_no_point_at_all():
    cloud = camera_cloud(40, 60, "tilted")
    normals = local_planes(cloud, 6.0).normals
    told = fpfh(cloud, normals, 8.0)
    zeroed = np.where(np.isnan(cloud), 0, cloud)
    assert np.isfinite(zeroed).all()
    lacking = normals.copy()
    lacking[0, :, 30:] = np.nan
    half = fpfh(cloud, lacking, 8.0)
    assert np.isnan(half[:, :, 30:]).all()
    np.testing.assert_array_equal(half[:, :, :30], fpfh(cloud[:, :, :30], normals[:, :, :30], 8.0))
    assert not np.array_equal(half[:, 20, 29], told[:, 20, 29])


@pytest.mark.parametrize("threads", ["1", "3"])
def test_any_number_of_threads_gives_the_same_numbers(monkeypatch, threads):
    cloud = camera_cloud(230, 40, "flat")
    once = fpfh(cloud, local_planes(cloud, 6.0).normals, 8.0)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert jit.threads() == int(threads)
    planes = local_planes(cloud, 6.0)
    np.testing.assert_array_equal(fpfh(cloud, planes.normals, 8.0), once)


def test_shape_does_not_depend_on_where_a_part_lies():
    cloud = camera_cloud(40, 50, "flat")
    angle = 0.3
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    turned = np.einsum("ij,jyx->iyx", turn, cloud.astype(float)).astype(np.float32)
    one, other = (fpfh(c, local_planes(c, 6.0).normals, 8.0) for c in (cloud, turned))
    seen = np.isfinite(cloud[0])
    assert (np.abs(one - other)[:, seen] > 0.01).mean() < 5e-3


# ---------------------------------------------------------------- the window


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("radius", [4.0, 9.0, 20.0])
def test_the_window_holds_every_point_within_the_radius(kind, radius):
    cloud = camera_cloud(60, 60, kind)
    reach = grid.reaches(cloud, radius)
    seen = np.argwhere(np.isfinite(cloud[0]))
    places = cloud[:, seen[:, 0], seen[:, 1]].T.astype(float)
    for y, x in seen[::29]:
        near = seen[np.linalg.norm(places - cloud[:, y, x], axis=1) <= radius]
        assert (np.abs(near - (y, x)) <= reach[y]).all()
    assert reach.max() <= grid.MOST_REACH


def test_the_window_is_capped():
    cloud = camera_cloud(80, 80, "flat")
    assert grid.reaches(cloud, 1e6).max() == grid.MOST_REACH
    assert grid.reaches(cloud, 1e-3).min() == 1


def test_the_pitch_is_that_of_the_surface():
    y, x = np.mgrid[:30, :40] * 0.5
    flat = np.stack([x, y, np.full_like(x, 100.0)]).astype(np.float32)
    assert grid.median_pitch(flat) == pytest.approx(0.5)
    assert np.isnan(grid.median_pitch(flat * np.nan))


# ---------------------------------------------------------------- curvature


@pytest.mark.parametrize("radius", [30.0, -60.0])
def test_a_ball_has_the_curvature_of_its_radius_and_a_bowl_the_negative(radius):
    y, x = (np.mgrid[:60, :60] - 29.5) * 0.5
    depth = 200 - np.sign(radius) * np.sqrt(radius**2 - x**2 - y**2)
    ball = np.stack([x, y, depth]).astype(np.float32)
    curvature = mean_curvature(ball, local_planes(ball, 2.0).normals, 2.0)
    np.testing.assert_allclose(curvature[10:-10, 10:-10], 1 / radius, rtol=0.03)


def test_a_rod_has_half_the_curvature_and_a_plane_none():
    y, x = (np.mgrid[:60, :60] - 29.5) * 0.5
    rod = np.stack([x, y, 200 - np.sqrt(40.0**2 - x**2)]).astype(np.float32)
    flat = np.stack([x, y, 200 + 0.3 * x]).astype(np.float32)
    for cloud, wanted in ((rod, 1 / 80), (flat, 0.0)):
        curvature = mean_curvature(cloud, local_planes(cloud, 2.2).normals, 2.2)
        np.testing.assert_allclose(curvature[10:-10, 22:-22], wanted, atol=3e-4)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (2, 2), (3, 40)])
def test_clouds_of_any_size_are_described(shape):
    cloud = np.random.default_rng(0).normal(0, 1, (3, *shape)).astype(np.float32)
    planes = local_planes(cloud, 2.0)
    assert planes.normals.shape == cloud.shape
    assert fpfh(cloud, planes.normals, 2.0).shape == (33, *shape)
    assert mean_curvature(cloud, planes.normals, 2.0).shape == shape
    for empty in (cloud * np.nan, np.full_like(cloud, np.inf)):
        assert np.isnan(local_planes(empty, 2.0).normals).all()
        assert np.isnan(fpfh(empty, empty, 2.0)).all()


@pytest.mark.parametrize("radius", [0.0, -1.0, np.nan, np.inf])
def test_a_radius_that_is_no_length_is_refused(radius):
    with pytest.raises(SceneError, match="a length above 0 was promised"):
        local_planes(camera_cloud(8, 8, "flat"), radius)


def test_loops_are_compiled_where_no_folder_can_be_written(monkeypatch):
    made = []

    def njit(*, cache: bool = False, **options):
        made.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda loop: loop

    monkeypatch.setattr("numba.njit", njit)
    assert jit.compiled(len) is len
    assert made == [True, False]


def test_what_is_no_cloud_is_refused():
    cloud = np.zeros((3, 4, 5), dtype=np.float32)
    with pytest.raises(SceneError, match=r"shape \(4, 5\) was given, but .* \(3, y, x\)"):
        local_planes(cloud[0], 1.0)
    for describe in (fpfh, mean_curvature):
        with pytest.raises(SceneError, match="one normal a point was promised"):
            describe(cloud, cloud[:, :2], 1.0)
