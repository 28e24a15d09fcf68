"""Triangulation: against the equations of cameras, and against simulated parts."""

import numpy as np
import pytest
import xarray as xr

from mmdefect.errors import RegistrationError, SensorError
from mmdefect.frames import read_array
from mmdefect.registration import BrownConrady, Camera, Division, Pose, Rig
from mmdefect.simulate.body import Body, Finish, Part
from mmdefect.simulate.light.fringes import (
    Projection,
    light_rig,
    light_up,
    photograph,
    photograph_stack,
)
from mmdefect.simulate.shapes import blob, box
from mmdefect.simulate.station import DISTANCE_MM
from mmdefect.simulate.tracer import World
from mmdefect.structured._loops import LONELY, OUTSIDE, UNSURE
from mmdefect.structured.cloud import decode_capture, write_cloud
from mmdefect.structured.codes import complete
from mmdefect.structured.decode import Decoded, Limits, decode_frames
from mmdefect.structured.stereo import match
from mmdefect.structured.triangulate import Sight, triangulate

pytestmark = pytest.mark.usefixtures("three_threads")

ROWS, COLUMNS = 30, 40
BENT = BrownConrady(-0.12, 0.05, 6e-4, -4e-4)


def camera(lens=BENT, **pose) -> Camera:
    return Camera(ROWS, COLUMNS, 90.0, 91.0, 20.3, 14.1, lens=lens, **pose)


def projector(lens=BrownConrady(-0.1, 0.04), down=0.0) -> Camera:  # noqa: B008
    c, s = np.cos(0.25), np.sin(0.25)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    centre = np.array([120.0, down, 15.0])
    return Camera(200, 320, 300.0, 302.0, 160.5, 101.0, lens=lens, pose=Pose(turn, -turn @ centre))


def surface(eye: Camera) -> np.ndarray:
    """Points on a tilted, rippled sheet at about 400 mm, on every pixel's ray (y, x, 3)."""
    rays = eye.directions()
    y, x = np.mgrid[:ROWS, :COLUMNS]
    depth = 400 + 0.8 * x - 0.5 * y + 2 * np.sin(x / 5.0)
    along = eye.pose.into(eye.centre + rays)[..., 2]
    return eye.centre + rays * (depth / along)[..., None]


def looked_at(points: np.ndarray, light: Camera, axes=("column", "row")) -> Decoded:
    """Decoded places of points in the projector, exact."""
    u, v = np.moveaxis(light.project(points), -1, 0).astype(np.float32)
    places = {axis: p for axis, p in (("column", u), ("row", v)) if axis in axes}
    flat = np.full(u.shape, 0.02, np.float32)
    strong = np.full(u.shape, 100, np.float32)
    flags = np.where(np.isnan(u), UNSURE, 0).astype(np.uint8)
    return Decoded(places, dict.fromkeys(places, flat), strong, strong, flags)


@pytest.mark.parametrize("lens", [BrownConrady(), BENT, Division(-0.15)], ids=str)
@pytest.mark.parametrize("axes", [("column",), ("column", "row")])
def test_rays_meet_the_projectors_light_where_the_surface_is(lens, axes):
    eye = camera(pose=Pose(np.eye(3), np.array([3.0, -2.0, 5.0])))
    light = projector(lens)
    points = surface(eye)
    depths = triangulate(looked_at(points, light, axes), Sight(eye), light)
    assert (depths.flags == 0).all()
    np.testing.assert_allclose(depths.depth, eye.pose.into(points)[..., 2], atol=2e-3)


def test_a_projector_above_is_met_by_its_rows():
    eye = camera()
    turn = np.array([[1, 0, 0], [0, 0.96, -0.28], [0, 0.28, 0.96]])
    light = Camera(200, 320, 300.0, 302.0, 160.5, 101.0, pose=Pose(turn, -turn @ [0, -110.0, 0]))
    points = surface(eye)
    depths = triangulate(looked_at(points, light), Sight(eye), light)
    np.testing.assert_allclose(depths.depth, points[..., 2], atol=2e-3)


def test_noise_of_depth_is_what_the_places_noise_makes_of_it():
    eye, light = camera(), projector()
    points = surface(eye)
    decoded = looked_at(points, light, ("column",))
    exact = triangulate(decoded, Sight(eye), light)
    rng = np.random.default_rng(0)
    off = []
    for _ in range(40):
        column = decoded.places["column"] + rng.normal(0, 0.02, (ROWS, COLUMNS)).astype(np.float32)
        shaken = Decoded(
            {"column": column}, decoded.spreads, decoded.modulation, decoded.snr, decoded.flags
        )
        off.append(triangulate(shaken, Sight(eye), light).depth - exact.depth)
    np.testing.assert_allclose(np.std(off), exact.noise.mean(), rtol=0.03)


def test_what_the_other_axis_saw_elsewhere_is_not_believed():
    eye, light = camera(), projector()
    decoded = looked_at(surface(eye), light)
    decoded.places["row"][10:13, 10:13] += 5
    depths = triangulate(decoded, Sight(eye), light, Limits(skew=2.0, neighbours=3))
    assert (depths.flags[10:13, 10:13] == UNSURE).all()
    assert np.isnan(depths.depth[10:13, 10:13]).all()
    assert (depths.flags == 0).sum() == ROWS * COLUMNS - 9


def test_lonely_points_and_depths_out_of_range_are_not_believed():
    eye, light = camera(), projector()
    points = surface(eye)
    decoded = looked_at(points, light, ("column",))
    decoded.places["column"][15, 15] += 9
    assert triangulate(decoded, Sight(eye), light).flags[15, 15] == LONELY
    depths = triangulate(decoded, Sight(eye), light, near=380, far=420)
    beyond = (points[..., 2] < 380) | (points[..., 2] > 420)
    assert beyond.any()
    assert (depths.flags[beyond] & OUTSIDE).all()


@pytest.mark.parametrize("axes", [("column",), ("column", "row")])
def test_two_cameras_agree_on_the_surface_without_the_projectors_place(axes):
    """Neither rectified nor free of distortion."""
    eye, light = camera(), projector()
    c, s = np.cos(-0.15), np.sin(-0.15)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.array(
        [[1, 0, 0], [0, 0.9998, -0.02], [0, 0.02, 0.9998]]
    )
    turn = np.linalg.svd(turn)[0] @ np.linalg.svd(turn)[2]
    second = camera(pose=Pose(turn, -turn @ np.array([-60.0, 4.0, 3.0])))
    normal = np.array([0.05, -0.04, 1.0])

    def met(cam: Camera) -> np.ndarray:
        rays = cam.directions()
        return cam.centre + rays * ((400.0 - cam.centre @ normal) / (rays @ normal))[..., None]

    one, two = met(eye), met(second)
    depths = match(
        (looked_at(one, light, axes), looked_at(two, light, axes)), Sight(eye), second, near=300,
        far=500,
    )  # fmt: skip
    shared = second.project(one)
    inside = (shared > 1).all(-1) & (shared < [COLUMNS - 2, ROWS - 2]).all(-1)
    assert inside.mean() > 0.5
    assert (depths.flags[inside] == 0).mean() > 0.99
    both = inside & (depths.flags == 0)
    np.testing.assert_allclose(depths.depth[both], one[..., 2][both], atol=0.05)


def test_cameras_in_one_place_and_frames_of_another_size_are_refused():
    eye, light = camera(), projector()
    decoded = looked_at(surface(eye), light)
    with pytest.raises(RegistrationError, match="stand in one place, but a baseline"):
        triangulate(decoded, Sight(eye), Camera(200, 320, 300.0, 300.0, 160.0, 100.0))
    with pytest.raises(RegistrationError, match="stand 0 mm apart"):
        match((decoded, decoded), Sight(eye), eye)
    other = Camera(31, COLUMNS, 90.0, 91.0, 20.3, 14.1)
    with pytest.raises(RegistrationError, match=r"30x40 pixels .* promises 31x40"):
        triangulate(decoded, Sight(other), light)


# ---------------------------------------------------------------- simulated parts


PAPER = Finish((0.7, 0.7, 0.7), roughness=0.6, specular=0.02)
TAR = Finish((0.03, 0.03, 0.03), roughness=0.5, specular=0.03)
SIZE = (150, 200)


@pytest.fixture(scope="module")
def seen():
    """A rig and what it sees: a table, a box of tar and a ball, with shadows and steps."""
    rig = light_rig(SIZE)
    bodies = (
        Body("table", *box(400, 400, -5, 0), "abs", PAPER),
        Body("box", *box(24, 18, 0, 6), "abs", TAR).moved(-14, 0),
        Body("ball", *blob(20, 20, 14, 60, 120), "abs", PAPER).moved(14, 4),
    )
    world = World(Part(bodies, Pose(np.eye(3), np.array([0, 0, DISTANCE_MM]))))
    cameras = rig.cameras
    return rig, [light_up(world, cameras[n], cameras["projector"]) for n in ("points", "second")]


def captured(scene, code, seed=0, exposures=(0.5, 2.5, 12.0)):
    rng = np.random.default_rng(seed)
    return [np.stack(list(photograph(scene, code, Projection(), e, rng))) for e in exposures]


@pytest.mark.parametrize("name", ["gray", "temporal", "heterodyne", "number"])
def test_simulated_parts_are_measured_within_the_bounds_of_the_manual(seen, name):
    rig, (scene, _) = seen
    code = complete(name, (1280, 800), (18.0,))
    decoded = decode_frames(code, captured(scene, code))
    depths = triangulate(decoded, Sight(rig.cameras["points"]), rig.cameras["projector"])
    valid = depths.flags == 0
    error = np.abs(depths.depth - scene.depth)[valid & scene.lit]
    assert 0.02 < (~scene.lit).mean() < 0.4
    assert np.median(error) <= 0.05
    assert np.quantile(error, 0.95) <= 0.2
    assert (valid & scene.lit).sum() >= 0.95 * scene.lit.sum()
    assert (valid & scene.reached).sum() >= 0.99 * valid.sum()


def test_two_simulated_cameras_measure_as_well(seen):
    rig, scenes = seen
    code = complete("gray", (1280, 800), (18.0,), axes=("column", "row"))
    seen_by = [decode_frames(code, captured(scene, code, i)) for i, scene in enumerate(scenes)]
    depths = match(seen_by, Sight(rig.cameras["points"]), rig.cameras["second"], near=400, far=600)
    valid = depths.flags == 0
    error = np.abs(depths.depth - scenes[0].depth)[valid]
    assert valid.mean() > 0.5
    assert np.median(error) < 0.06
    assert np.quantile(error, 0.95) < 0.25


# ---------------------------------------------------------------- captures and files


@pytest.fixture(scope="module")
def cloud(seen, tmp_path_factory):
    rig, (scene, second) = seen
    folder = tmp_path_factory.mktemp("capture")
    code = complete("number", (1280, 800), (18.0,))
    photograph_stack(folder, scene, code, exposures=(0.5, 2.5, 12.0))
    photograph_stack(folder / "second", second, code, exposures=(0.5, 2.5, 12.0))
    return folder, rig, scene, decode_capture(folder, rig)


def test_a_capture_becomes_a_labelled_cloud(cloud):
    _, rig, scene, made = cloud
    assert made["points"].dims == ("axis", "y", "x")
    assert {name: made[name].dtype.name for name in made} == {
        "points": "float32",
        "valid": "bool",
        "snr": "float32",
        "noise": "float32",
        "modulation": "float32",
        "flags": "uint8",
    }
    np.testing.assert_array_equal(np.isfinite(made["points"]).all("axis"), made["valid"])
    np.testing.assert_array_equal(np.isfinite(made["noise"]), made["valid"])
    points = np.moveaxis(made["points"].values, 0, -1)[made["valid"].values].astype(float)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in SIZE[::-1])), -1)[made["valid"].values]
    eye = rig.cameras["points"]
    np.testing.assert_allclose(eye.project(eye.pose.out_of(points)), grid, atol=1e-3)
    pull = ((made["points"][2] - scene.depth) / made["noise"]).where(scene.lit)
    assert 0.7 < float(np.abs(pull).median() / 0.6745) < 1.5


def test_points_come_in_the_rigs_frame_where_the_camera_says_so(cloud):
    from dataclasses import replace

    folder, rig, _, made = cloud
    eye = replace(rig.cameras["points"], points_in="rig")
    moved = decode_capture(folder, Rig("r", "points", {**rig.cameras, "points": eye}))
    points = np.moveaxis(made["points"].values, 0, -1).astype(float)
    wanted = eye.pose.out_of(points)
    np.testing.assert_allclose(np.moveaxis(moved["points"].values, 0, -1), wanted, atol=1e-3)
    assert moved.attrs["frame"] == "rig"


def test_two_cameras_of_a_capture_are_matched(cloud):
    folder, rig, scene, _ = cloud
    made = decode_capture(
        folder, rig, second_path=folder / "second", second="second", near=400, far=600
    )
    error = np.abs(made["points"][2].values - scene.depth)[made["valid"].values]
    assert made["valid"].mean() > 0.5
    assert np.median(error) < 0.06


def test_captures_that_cannot_be_put_together_are_refused(cloud, tmp_path):
    folder, rig, scene, _ = cloud
    with pytest.raises(SensorError, match="but both or neither were promised"):
        decode_capture(folder, rig, second="second")
    with pytest.raises(RegistrationError, match="no camera 'beamer'"):
        decode_capture(folder, rig, projector="beamer")
    photograph_stack(tmp_path, scene, complete("gray", (1280, 800), ()))
    with pytest.raises(SensorError, match="another code than in"):
        decode_capture(folder, rig, second_path=tmp_path, second="second")


def test_clouds_are_written_as_others_read_them(cloud, tmp_path):
    *_, made = cloud
    wanted = np.moveaxis(made["points"].values, 0, -1)
    for suffix in (".ply", ".npy", ".nc"):
        write_cloud(made, tmp_path / f"cloud{suffix}")
    np.testing.assert_array_equal(read_array(tmp_path / "cloud.npy"), wanted)
    np.testing.assert_array_equal(read_array(tmp_path / "cloud.ply"), wanted)
    again = xr.load_dataset(tmp_path / "cloud.nc", engine="h5netcdf")
    xr.testing.assert_identical(again, made)
    with pytest.raises(SensorError, match=r"cloud.obj: ends with '.obj', but one of .ply, .npy"):
        write_cloud(made, tmp_path / "cloud.obj")
