"""Cameras against OpenCV and against HALCON's formulas, over whole frames."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from mmdefect.errors import RegistrationError
from mmdefect.registration import BrownConrady, Camera, Division, Pose, read_halcon

TURN = cv2.Rodrigues(np.array([0.21, -0.34, 0.12]))[0]
MILD = BrownConrady(-0.11, 0.05, 4e-4, -3e-4, 0.01)
STRONG = BrownConrady(-0.38, 0.16, 2e-3, -1.5e-3, -0.02)
PINCUSHION = BrownConrady(0.25, 0.1, -1e-3, 2e-3, 0.05)
MVTEC = {
    "camera_type": "area_scan_division",
    "focus": 0.0103431,
    "kappa": -2205.03,
    "sx": 3.74983e-06,
    "sy": 3.75e-06,
    "cx": 376.046,
    "cy": 423.07,
    "image_width": 600,
    "image_height": 800,
}


def camera(lens: BrownConrady | Division = MILD, focal: float = 700.0) -> Camera:
    pose = Pose(TURN, np.array([12.0, -30.0, 410.0]))
    return Camera(600, 800, focal, 1.01 * focal, 405.3, 291.8, lens, pose)


def matrix(eye: Camera) -> np.ndarray:
    return np.array([[eye.fx, 0, eye.cx], [0, eye.fy, eye.cy], [0, 0, 1]])


def coefficients(eye: Camera) -> np.ndarray:
    lens = eye.lens
    return np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])


def every_pixel(eye: Camera) -> np.ndarray:
    rows, columns = np.mgrid[: eye.height, : eye.width].astype(np.float64)
    return np.stack([columns, rows], axis=-1)


def seen(eye: Camera, dtype: type = np.float64) -> np.ndarray:
    """Points in the rig's frame that fill the frame, at varying depths, by OpenCV alone."""
    pixels = every_pixel(eye)[::3, ::3].reshape(-1, 1, 2)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-13)
    rays = cv2.undistortPointsIter(
        pixels, matrix(eye), coefficients(eye), np.eye(3), np.eye(3), stop
    )
    depth = np.random.default_rng(0).uniform(250, 600, len(rays))[:, np.newaxis]
    own = np.concatenate([rays[:, 0] * depth, depth], axis=1)
    return ((own - eye.pose.translation) @ eye.pose.rotation).astype(dtype)


@pytest.mark.parametrize("lens", [BrownConrady(), MILD, STRONG, PINCUSHION], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_projection_agrees_with_opencv_over_the_whole_frame(lens, dtype):
    eye = camera(lens)
    points = seen(eye, dtype)
    wanted, _ = cv2.projectPoints(
        points.astype(np.float64), cv2.Rodrigues(TURN)[0], eye.pose.translation, matrix(eye),
        coefficients(eye),
    )  # fmt: skip
    found = eye.project(points)
    assert found.dtype == dtype
    assert np.abs(found - wanted[:, 0]).max() < 1e-4


@pytest.mark.parametrize("lens", [BrownConrady(), MILD, STRONG, PINCUSHION], ids=str)
def test_rays_agree_with_opencvs_undistortion_over_the_whole_frame(lens):
    eye = camera(lens)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-13)
    wanted = cv2.undistortPointsIter(
        every_pixel(eye).reshape(-1, 1, 2), matrix(eye), coefficients(eye), np.eye(3), np.eye(3),
        stop,
    ).reshape(600, 800, 2)  # fmt: skip
    rays = eye.directions() @ eye.pose.rotation.T
    found = rays[..., :2] / rays[..., 2:]
    assert np.abs(found - wanted).max() * eye.fx < 1e-4
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, rtol=1e-12)


def test_points_behind_the_camera_fall_nowhere_and_beside_the_frame_they_fall_beside_it():
    eye = camera()
    own = np.array([[0.0, 0.0, -300.0], [0.0, 0.0, 0.0], [200.0, 0.0, 300.0], [np.nan, 0.0, 300.0]])
    found = eye.project(eye.pose.out_of(own))
    assert np.isnan(found[[0, 1, 3]]).all()
    assert found[2, 0] > eye.width


@pytest.mark.parametrize("lens", [STRONG, Division(0.3)], ids=str)
def test_a_point_far_outside_the_view_is_not_folded_back_into_the_frame(lens):
    eye = camera(lens, focal=500.0)
    angles = np.linspace(0, 89.9, 2000)
    own = np.stack([np.tan(np.deg2rad(angles)), 0 * angles, np.ones_like(angles)], -1) * 100
    columns = eye.project(eye.pose.out_of(own))[:, 0]
    known = columns[np.isfinite(columns)]
    assert np.isnan(columns[-1])
    assert (np.diff(known) > 0).all()


def halcon(points: np.ndarray, told: dict = MVTEC) -> np.ndarray:
    """HALCON's chapter on camera models, in metres on the sensor, written anew."""
    u, v = (told["focus"] * points[:, axis] / points[:, 2] for axis in (0, 1))
    shrink = 2 / (1 + np.sqrt(1 - 4 * told["kappa"] * (u**2 + v**2)))
    return np.stack([u * shrink / told["sx"] + told["cx"], v * shrink / told["sy"] + told["cy"]], 1)


def test_halcons_division_model_projects_as_halcon_says(tmp_path):
    (tmp_path / "camera_parameters.json").write_text(json.dumps(MVTEC))
    eye = read_halcon(tmp_path / "camera_parameters.json")
    assert (eye.height, eye.width) == (800, 600)
    points = np.random.default_rng(0).uniform([-70, -90, 300], [60, 80, 500], (5000, 3))
    assert np.abs(eye.project(points) - halcon(points)).max() < 1e-4


def test_halcons_division_model_sends_pixels_out_as_halcon_says(tmp_path):
    (tmp_path / "camera_parameters.json").write_text(json.dumps(MVTEC))
    eye = read_halcon(tmp_path / "camera_parameters.json")
    pixels = every_pixel(eye)
    bent = (pixels - [MVTEC["cx"], MVTEC["cy"]]) * [MVTEC["sx"], MVTEC["sy"]]
    straight = bent / (1 + MVTEC["kappa"] * (bent**2).sum(-1, keepdims=True))
    rays = eye.directions()
    found = rays[..., :2] / rays[..., 2:]
    assert np.abs(found - straight / MVTEC["focus"]).max() * eye.fx < 1e-4
    back = eye.project((rays * 400).reshape(-1, 3))
    assert np.abs(back - pixels.reshape(-1, 2)).max() < 1e-4


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"camera_type": "area_scan_polynomial"}, "camera_type 'area_scan_polynomial', but"),
        ({"kappa": "low"}, "kappa is 'low'; a finite number"),
        ({"focus": 0.0}, "is it a telecentric camera"),
        ({"image_width": 599.5}, "whole sides"),
        ({"sx": True}, "sx is True"),
    ],
)
def test_a_camera_file_that_is_not_halcons_is_refused(tmp_path, told, said):
    (tmp_path / "c.json").write_text(json.dumps(MVTEC | told))
    with pytest.raises(RegistrationError, match=said):
        read_halcon(tmp_path / "c.json")


def test_a_camera_file_that_is_missing_or_no_json_is_refused(tmp_path):
    with pytest.raises(RegistrationError, match="no camera file"):
        read_halcon(tmp_path / "c.json")
    (tmp_path / "c.json").write_text("focus = 1")
    with pytest.raises(RegistrationError, match="is not JSON"):
        read_halcon(tmp_path / "c.json")
    (tmp_path / "c.json").write_text("[" * 100_000)
    with pytest.raises(RegistrationError, match="is not JSON"):
        read_halcon(tmp_path / "c.json")


def test_mvtecs_own_camera_file_is_read(shared_folder):
    path = shared_folder / "data/mvtec3d-half/tire/calibration/camera_parameters.json"
    if not path.is_file():
        pytest.skip("MVTec's camera file is not among the real captures")
    eye = read_halcon(path)
    assert (eye.height, eye.width) == (800, 600)
    assert isinstance(eye.lens, Division)
    assert replace(eye, lens=Division()).project(np.array([[0.0, 0.0, 1.0]])) == pytest.approx(
        np.array([[eye.cx, eye.cy]])
    )
