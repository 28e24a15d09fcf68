"""One capture by a rig: planes with known answers, holes, and what is never mixed."""

import cv2
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.errors import RegistrationError
from mmdefect.registration import BrownConrady, Camera, Plane, Pose, Rig
from mmdefect.registration.placing import Registration

SIDE = 48
HUGE = 1e15
TILT = cv2.Rodrigues(np.array([0.15, -0.2, 0.05]))[0]
PLANE = Plane(np.array([0.0, 0.0, 300.0]), np.array([0.1, -0.2, -1.0]))


def camera(side: int = SIDE, focal: float = 120.0, **more) -> Camera:
    return Camera(side, side, focal, focal, (side - 1) / 2, (side - 1) / 2, **more)


def beside(side: int = SIDE, focal: float = 120.0, **more) -> Camera:
    pose = Pose(TILT, np.array([5.0, -8.0, 20.0]) + (np.eye(3) - TILT) @ [0, 0, 300.0])
    return camera(side, focal, pose=pose, **more)


def picture(side: int = SIDE, values: np.ndarray | None = None) -> xr.DataArray:
    if values is None:
        rows, columns = np.mgrid[:side, :side].astype(np.float32)
        values = np.stack([columns, rows])
    return xr.DataArray(
        values.astype(np.float32),
        dims=("energy", "y", "x"),
        attrs={"modality": "xray", "units": "relative"},
    )


def cloud(depth: np.ndarray, eye: Camera | None = None, modality: str = "points") -> xr.DataArray:
    eye = eye or camera()
    rays = eye.directions() @ eye.pose.rotation.T
    points = np.moveaxis(rays / rays[..., 2:] * depth[..., np.newaxis], -1, 0)
    attrs = {"modality": modality, "units": "mm"}
    if modality == "depth":
        return xr.DataArray(depth.astype(np.float32), dims=("y", "x"), attrs=attrs)
    coords = {"axis": ["x", "y", "z"]}
    return xr.DataArray(
        points.astype(np.float32), dims=("axis", "y", "x"), coords=coords, attrs=attrs
    )


def flat(depth: float = 300.0, side: int = SIDE) -> np.ndarray:
    return np.full((side, side), depth)


def rig(surface=None, reference: str = "points", **cameras: Camera) -> Rig:
    return Rig("toy", reference, {"points": camera(), "xray": beside(), **cameras}, surface)


def homography() -> np.ndarray:
    """From the reference's pixels to the other camera's, over the plane: K (R - t nᵀ / d) K⁻¹."""
    eye, other = camera(), beside()
    matrix = np.array([[120.0, 0, 23.5], [0, 120, 23.5], [0, 0, 1]])
    distance = PLANE.normal @ PLANE.point
    motion = other.pose.rotation + np.outer(other.pose.translation, PLANE.normal) / distance
    assert eye.pose == Pose()
    return matrix @ motion @ np.linalg.inv(matrix)


def test_without_a_cloud_a_nominal_plane_places_sensors_by_its_homography():
    placed, grids = Registration(rig(PLANE)).place({"xray": picture()})
    rows, columns = np.mgrid[:SIDE, :SIDE]
    wanted = homography() @ np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
    wanted = (wanted[:2] / wanted[2]).reshape(2, SIDE, SIDE)
    inside = ((wanted > 0.01) & (wanted < SIDE - 1.01)).all(0)
    found = placed["xray"].values
    assert inside.mean() > 0.5
    assert np.abs(found - wanted)[:, inside].max() < 1e-3
    outside = ((wanted < -0.01) | (wanted > SIDE - 0.99)).any(0)
    assert np.isnan(found[:, outside]).all()
    assert grids == {"xray": "points"}


def test_without_a_cloud_and_a_nominal_surface_a_sensor_keeps_its_own_grid():
    placed, grids = Registration(rig()).place({"xray": picture(24)[:, :, :].pad(y=12, x=12)})
    assert grids == {"xray": "xray"}
    assert placed["xray"].shape == (2, SIDE, SIDE)


def test_the_reference_camera_makes_the_grid_whether_its_frame_is_there_or_not():
    seats = rig(reference="rgb", rgb=camera(64, 150.0))
    scene = Registration(seats).scene({"points": cloud(flat()), "xray": picture()})
    assert (scene.sizes["y"], scene.sizes["x"]) == (64, 64)
    assert scene.attrs["reference"] == "rgb"
    assert list(scene["grid"].values) == ["rgb", "rgb"]
    assert float(scene["valid"].sel(sensor="points").mean()) > 0.8


def test_the_references_own_frame_passes_unchanged():
    frame = cloud(flat())
    frame[:, 3, 4] = np.nan
    placed, _ = Registration(rig()).place({"xray": picture(), "points": frame})
    assert list(placed) == ["xray", "points"]
    np.testing.assert_array_equal(placed["points"], frame)


def test_points_written_in_the_rigs_frame_are_brought_into_the_references():
    eye = beside(points_in="rig")
    frame = cloud(flat(), eye)
    written = frame.copy(data=np.moveaxis(eye.pose.out_of(np.moveaxis(frame.values, 0, -1)), -1, 0))
    own, _ = Registration(rig(points=eye)).place({"points": written})
    assert np.abs(own["points"].values - frame.values).max() < 1e-3
    there, _ = Registration(rig(points=beside())).place({"points": frame, "xray": picture()})
    here, _ = Registration(rig(points=eye)).place({"points": written, "xray": picture()})
    np.testing.assert_allclose(here["xray"], there["xray"], atol=1e-3)


def test_a_depth_camera_places_others_as_a_scanner_with_the_same_points_does():
    y, x = np.mgrid[:SIDE, :SIDE]
    depth = 300 + 2 * np.sin(x / 9) + 0.1 * y
    seats = rig(reference="rgb", rgb=beside())
    by_points, _ = Registration(seats).place({"points": cloud(depth), "xray": picture()})
    frame = cloud(depth, modality="depth")
    by_depth, _ = Registration(seats).place({"points": frame, "xray": picture()})
    np.testing.assert_allclose(by_depth["xray"], by_points["xray"], atol=1e-3)
    np.testing.assert_allclose(by_depth["points"], by_points["points"][2], atol=1e-4)
    assert by_depth["points"].dims == ("y", "x")


def test_a_sensor_behind_the_surface_sees_nothing():
    behind = camera(pose=Pose(np.eye(3), np.array([0.0, 0.0, -600.0])))
    placed, grids = Registration(rig(xray=behind)).place(
        {"points": cloud(flat()), "xray": picture()}
    )
    assert np.isnan(placed["xray"]).all()
    assert grids["xray"] == "points"


def test_a_small_hole_is_bridged_for_others_and_stays_a_hole_for_the_scanner():
    depth = flat()
    depth[10:14, 20:25] = np.nan
    depth[30:42, 20:32] = np.nan
    seats = rig(xray=camera(through=True))
    placed, _ = Registration(seats).place({"points": cloud(depth), "xray": picture()})
    np.testing.assert_array_equal(np.isnan(placed["points"][2]), np.isnan(depth))
    assert np.isfinite(placed["xray"][0, 10:14, 20:25]).all()
    assert np.isnan(placed["xray"][0, 31:41, 21:31]).all()


def test_a_hole_at_a_depth_step_is_never_bridged():
    depth = flat()
    depth[:, 24:] = 280.0
    depth[20:24, 22:26] = np.nan
    seats = rig(xray=camera(through=True))
    placed, _ = Registration(seats).place({"points": cloud(depth), "xray": picture()})
    assert np.isnan(placed["xray"][0, 20:24, 22:26]).all()


def test_no_surface_is_spanned_across_a_depth_step():
    depth = flat()
    depth[:, 24:] = 270.0
    seats = rig(reference="rgb", rgb=beside(96, 240.0))
    points = Registration(seats).place({"points": cloud(depth)})[0]["points"].values
    rig_points = seats.cameras["rgb"].pose.out_of(np.moveaxis(points, 0, -1).astype(float))
    z = rig_points[np.isfinite(points[2])][:, 2]
    assert (np.minimum(np.abs(z - 300), np.abs(z - 270)) < 0.01).all()
    assert {round(v) for v in z} == {270, 300}


def test_a_lone_point_before_the_part_places_nothing_and_hides_nothing():
    depth = flat()
    clean, _ = Registration(rig()).place({"points": cloud(depth), "xray": picture()})
    depth[24, 24] = 200.0
    struck, _ = Registration(rig()).place({"points": cloud(depth), "xray": picture()})
    np.testing.assert_allclose(struck["xray"], clean["xray"], atol=1e-4)


def test_fine_pixels_are_averaged_over_the_references_pixel():
    fine = camera(4 * SIDE, 480.0, through=True)
    stripes = np.tile(np.arange(4 * SIDE) % 4, (1, 4 * SIDE, 1))
    placed, _ = Registration(rig(xray=fine)).place(
        {"points": cloud(flat()), "xray": picture(values=stripes)}
    )
    known = placed["xray"].values[np.isfinite(placed["xray"].values)]
    assert known.size > 0.8 * SIDE * SIDE
    np.testing.assert_allclose(known, 1.5, atol=0.06)


@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.05, 1.5, 2.3, 4.0])
def test_a_ramp_is_sampled_exactly_at_every_ratio_of_pixels(ratio):
    side = round(SIDE * ratio)
    fine = camera(side, 120.0 * ratio, through=True)
    placed, _ = Registration(rig(xray=fine)).place({"points": cloud(flat()), "xray": picture(side)})
    found = placed["xray"].values[0]
    wanted = (np.arange(SIDE) - (SIDE - 1) / 2) * ratio + (side - 1) / 2
    known = np.isfinite(found)
    assert known.mean() > 0.85
    np.testing.assert_allclose(found[known], np.broadcast_to(wanted, found.shape)[known], atol=1e-3)


def test_a_frame_whose_size_contradicts_its_camera_is_refused():
    with pytest.raises(RegistrationError, match=r"24x24 pixels .* promises 48x48 for 'xray'"):
        Registration(rig()).place({"xray": picture(24)})


def test_a_cloud_without_a_unit_is_refused():
    frame = cloud(flat())
    frame.attrs["units"] = "relative"
    with pytest.raises(RegistrationError, match="'points' is in 'relative', but the lengths of a"):
        Registration(rig()).place({"points": frame})


def test_a_sensor_with_a_camera_cannot_share_the_references_view():
    with pytest.raises(RegistrationError, match="'xray' has a camera in the rig 'toy' and is said"):
        Registration(rig(), ["xray"])


def test_registered_points_place_sensors_that_have_cameras():
    seats = Rig("toy", "rgb", {"rgb": camera(), "xray": beside()}, None)
    placed, grids = Registration(seats, ["points"]).place(
        {"points": cloud(flat()), "xray": picture()}
    )
    wanted, _ = Registration(rig()).place({"points": cloud(flat()), "xray": picture()})
    np.testing.assert_array_equal(placed["xray"], wanted["xray"])
    assert set(grids.values()) == {"rgb"}


def test_a_cad_mesh_is_the_nominal_surface_and_hides_what_lies_behind(tmp_path):
    import open3d as o3d

    box = o3d.geometry.TriangleMesh.create_box(60, 60, 40)
    box.translate((-60, -30, 260))
    floor = o3d.geometry.TriangleMesh.create_box(400, 400, 5)
    floor.translate((-200, -200, 300))
    box += floor
    box.compute_triangle_normals()
    o3d.io.write_triangle_mesh(str(tmp_path / "part.stl"), box)
    left = Pose(np.eye(3), np.array([120.0, 0.0, 0.0]))
    eye = Camera(SIDE, SIDE * 3, 120.0, 120.0, 20.0, 23.5, pose=left)
    seats = rig(tmp_path / "part.stl", xray=eye, clear=Camera(**{**vars(eye), "through": True}))
    rows, columns = np.mgrid[:SIDE, : 3 * SIDE].astype(np.float32)
    frame = picture(values=np.stack([columns, rows]))
    placed, _ = Registration(seats).place({"xray": frame, "clear": frame})
    clear, seen = placed["clear"].values[0, 24], placed["xray"].values[0, 24]
    x = (np.arange(SIDE) - 23.5) / 120
    on_box = x * 260 < 0
    wanted = np.where(on_box, (x * 260 + 120) / 260, (x * 300 + 120) / 300) * 120 + 20
    np.testing.assert_allclose(clear, wanted, atol=1e-2)
    shadow = ~on_box & (x * 300 < 120 * 40 / 260)
    assert 3 < shadow.sum() < 20
    edge = np.abs(x * 300 - 120 * 40 / 260) < 5
    np.testing.assert_array_equal(np.isnan(seen)[~edge], shadow[~edge])


@pytest.mark.parametrize(
    ("content", "said"), [(None, "'part.stl' is no file"), (b"solid\n", "no .endsolid. at its end")]
)
def test_a_mesh_that_is_none_is_refused(tmp_path, content, said):
    if content is not None:
        (tmp_path / "part.stl").write_bytes(content)
    with pytest.raises(RegistrationError, match=said):
        Registration(rig(tmp_path / "part.stl")).place({"xray": picture()})


def test_missing_open3d_is_named_with_its_remedy(tmp_path, monkeypatch):
    (tmp_path / "part.stl").write_bytes(b"solid\n")
    monkeypatch.setitem(__import__("sys").modules, "open3d", None)
    with pytest.raises(RegistrationError, match=r"install open3d .* or give the rig a plane"):
        Registration(rig(tmp_path / "part.stl")).place({"xray": picture()})


@given(seed=st.integers(0, 2**32 - 1), holes=st.floats(0.001, 0.2), fine=st.booleans())
@settings(deadline=None, max_examples=25)
def test_no_output_pixel_depends_on_an_invalid_input_pixel(seed, holes, fine):
    rng = np.random.default_rng(seed)
    side, focal = (2 * SIDE, 300.0) if fine else (SIDE, 120.0)
    seats = rig(xray=beside(side, focal, lens=BrownConrady(-0.1, 0.02)), reference="points")
    depth = 300 + rng.normal(0, 0.05, (SIDE, SIDE)) - 15 * (rng.random((SIDE, SIDE)) < 0.02)
    blind, lost = rng.random((side, side)) < holes, rng.random((SIDE, SIDE)) < holes
    values = rng.random((2, side, side))
    scan = cloud(depth)
    scan.values[:, lost] = np.nan
    poisoned = scan.copy(deep=True)
    poisoned.values[:2, lost] = HUGE
    outputs = []
    for poison, frame in ((np.nan, scan), (HUGE, poisoned)):
        shown = values.copy()
        shown[:, blind] = poison
        placed, _ = Registration(seats).place({"points": frame, "xray": picture(values=shown)})
        outputs.append(placed["xray"].values)
    clean, struck = outputs
    known = np.isfinite(clean)
    np.testing.assert_array_equal(struck[known], clean[known])
    assert not (clean[known] > 1).any()
    assert (np.isnan(struck) | (struck > 1))[~known].all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=10)
def test_the_number_of_threads_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    depth = 300 + rng.normal(0, 0.05, (SIDE, SIDE)) - 15 * (rng.random((SIDE, SIDE)) < 0.1)
    frames = {"points": cloud(depth), "xray": picture()}
    seats = rig(reference="rgb", rgb=beside())
    found = []
    for count in ("1", "3"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OMP_NUM_THREADS", count)
            found.append(Registration(seats).place(frames).frames)
    for name in frames:
        np.testing.assert_array_equal(found[0][name], found[1][name])
