"""One camera from planted views: found, told how well, and refused where views say too little."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmdefect.calibration import calibrate_camera
from mmdefect.calibration._bundle import Block, moved, project, rotations
from mmdefect.errors import CalibrationError
from mmdefect.registration import Pose

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import boards
from boards import sightings, state_of, truth

pytest.importorskip("cv2", reason="OpenCV gives the solver its start")
CAMERA = boards.station()["left"]


@pytest.fixture(scope="module")
def poses():
    return boards.placed(boards.CHARUCO, np.random.default_rng(11), 14)


@pytest.fixture(scope="module")
def fit(poses):
    return calibrate_camera(sightings(CAMERA, poses, np.random.default_rng(12)), boards.CHARUCO)


def test_the_bundles_derivatives_are_differences():
    rng = np.random.default_rng(0)
    points = np.c_[rng.uniform(-80, 80, (6, 2)), np.zeros(6)]
    block = Block(0, 0, points, np.zeros((6, 2)))
    pose = Pose(rotations(np.array([[0.3, -0.2, 0.1]]))[0], np.array([5.0, 9.0, 480.0]))
    state = state_of(boards.station()["right"], pose)
    _, slopes = project(block, state)
    for number in range(21):
        step = np.zeros(21)
        step[number] = 1e-6
        ahead, back = (project(block, moved(state, sign * step))[0] for sign in (1, -1))
        numeric = (ahead - back) / 2e-6
        assert np.abs(numeric - slopes[:, :, number]).max() < 1e-6 * np.abs(slopes).max()


def test_the_bundle_projects_as_the_rigs_cameras_do(poses):
    camera = boards.station()["projector"]
    block = Block(0, 0, boards.CHARUCO.points, np.zeros((70, 2)))
    found, _ = project(block, state_of(camera, poses[0]))
    assert np.abs(found - camera.project(boards.onto(poses[0], block.points))).max() < 1e-9


def test_a_circles_picture_has_its_centre_where_the_bundle_says():
    camera = replace(CAMERA, lens=type(CAMERA.lens)())
    pose = Pose(boards.turned(35, 10, 5), np.array([20.0, 10.0, 450.0]))
    angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    ring = np.stack([30 + 9 * np.cos(angle), 20 + 9 * np.sin(angle), 0 * angle], axis=1)
    x, y = camera.project(boards.onto(pose, ring)).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    area = cross.sum() / 2
    centroid = [((part + np.roll(part, -1)) * cross).sum() / (6 * area) for part in (x, y)]
    centre = np.array([[30.0, 20.0, 0.0]])
    blocks = [Block(0, 0, centre, np.zeros((1, 2)), radius) for radius in (9.0, 0.0)]
    right, plain = (project(block, state_of(camera, pose))[0][0] for block in blocks)
    assert np.abs(right - centroid).max() < 1e-4
    assert np.linalg.norm(plain - centroid) > 0.05


def test_a_planted_camera_is_found_within_what_it_promises(fit):
    off = np.abs(fit.inner - truth(CAMERA))
    known = fit.deviations > 0
    assert (off[known] <= 4 * fit.deviations[known]).all()
    assert off[:4].max() < 4
    assert fit.sigma == pytest.approx(0.05, rel=0.1)
    assert fit.outliers == ()
    assert (fit.camera.height, fit.camera.width) == (960, 1280)


def test_poses_of_the_target_are_found(fit, poses):
    for found, true in zip(fit.poses.values(), poses, strict=True):
        assert np.abs(found.translation - true.translation)[:2].max() < 1.0
        assert np.abs(found.rotation - true.rotation).max() < 2e-3


def test_a_third_radial_term_is_taken_when_the_lens_bends_so(poses):
    lens = replace(CAMERA.lens, k3=2.0)
    camera = replace(CAMERA, lens=lens)
    wide = boards.placed(boards.CHARUCO, np.random.default_rng(2), 10, spread=110, distance=400)
    assert calibrate_camera(
        sightings(camera, wide, np.random.default_rng(3), noise=0.02), boards.CHARUCO
    ).radial == 3  # fmt: skip
    plain = replace(CAMERA, lens=replace(CAMERA.lens, k3=0.0))
    seen = sightings(plain, poses, np.random.default_rng(3))
    assert calibrate_camera(seen, boards.CHARUCO).radial == 2


def test_circles_seen_as_ellipses_bias_nothing():
    target = boards.CIRCLES
    poses = boards.placed(target, np.random.default_rng(5), 14)
    fit = calibrate_camera(
        sightings(CAMERA, poses, np.random.default_rng(6), target=target), target
    )
    known = fit.deviations > 0
    assert (np.abs(fit.inner - truth(CAMERA))[known] <= 4 * fit.deviations[known]).all()


@pytest.mark.parametrize("wrong", ["other zoom", "bent", "mixed up"])
def test_a_wrong_view_is_named_and_does_no_harm(poses, fit, wrong):
    rng = np.random.default_rng(12)
    seen = sightings(CAMERA, poses, rng)
    if wrong == "other zoom":
        far = replace(CAMERA, fx=0.8 * CAMERA.fx, fy=0.8 * CAMERA.fy)
        seen["view04"] = sightings(far, [poses[4]], rng)["view00"]
    elif wrong == "bent":
        one = seen["view04"]
        x = boards.CHARUCO.points[one.numbers, 0]
        bow = 2.0 * ((x - 80) / 80)[:, None] ** 2
        seen["view04"] = replace(one, pixels=one.pixels + bow)
    else:
        one = seen["view04"]
        seen["view04"] = replace(one, pixels=rng.permutation(one.pixels))
    found = calibrate_camera(seen, boards.CHARUCO, name="rgb")
    assert [(outlier.camera, outlier.view) for outlier in found.outliers] == [("rgb", "view04")]
    assert "view04" not in found.poses
    assert found.outliers[0].error > 3 * found.outliers[0].usual
    assert (np.abs(found.inner - fit.inner) <= 4 * np.maximum(found.deviations, 1e-12)).all()


def test_single_wrong_corners_condemn_no_view(poses):
    seen = sightings(CAMERA, poses, np.random.default_rng(12))
    for one in seen.values():
        one.pixels[::20] += 6.0
    found = calibrate_camera(seen, boards.CHARUCO)
    assert found.outliers == ()
    known = found.deviations > 0
    assert (np.abs(found.inner - truth(CAMERA))[known] <= 6 * found.deviations[known]).all()


def test_too_few_views_are_refused(poses):
    seen = sightings(CAMERA, poses[:3], np.random.default_rng(1))
    with pytest.raises(CalibrationError, match=r"infrared: .* 3 view\(s\), but 4 are the least"):
        calibrate_camera(seen, boards.CHARUCO, name="infrared")


def test_views_parallel_to_the_sensor_are_refused_with_the_focal_lengths_uncertainty():
    flat = boards.placed(boards.CHARUCO, np.random.default_rng(8), 12, tilt=0.0)
    seen = sightings(CAMERA, flat, np.random.default_rng(9))
    with pytest.raises(CalibrationError, match="leave the focal length uncertain") as refused:
        calibrate_camera(seen, boards.CHARUCO)
    assert "record views that lean" in str(refused.value)


def test_views_of_unlike_size_are_refused(poses):
    seen = sightings(CAMERA, poses, np.random.default_rng(1))
    seen["view03"] = replace(seen["view03"], size=(480, 640))
    with pytest.raises(CalibrationError, match="480x640 in view03"):
        calibrate_camera(seen, boards.CHARUCO)


def test_views_that_do_not_agree_at_all_are_refused(poses):
    rng = np.random.default_rng(1)
    seen = sightings(CAMERA, poses, rng)
    for view in list(seen)[::2]:
        seen[view] = replace(seen[view], pixels=rng.permutation(seen[view].pixels))
    with pytest.raises(CalibrationError, match="of 14 views agree with one camera"):
        calibrate_camera(seen, boards.CHARUCO)
