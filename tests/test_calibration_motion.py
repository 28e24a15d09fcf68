"""Projectors by real stacks, hands and turntables: what is tied to a rig's cameras."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from mmdefect.calibration import (
    Target,
    calibrate_folder,
    calibrate_motion,
    check_folder,
    read_motion,
    turned,
)
from mmdefect.calibration._graph import chained, inverse
from mmdefect.errors import CalibrationError
from mmdefect.registration import Camera, Pose, Rig
from mmdefect.structured.codes import Code
from mmdefect.structured.patterns import draw
from mmdefect.structured.stack import write_stack

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import boards

pytest.importorskip("cv2", reason="OpenCV finds targets")
SMALL = Target("charuco", 5, 7, 15.0, marker=11.0, dictionary="4X4_50")
CAMERA = Camera(300, 400, 560.0, 561.0, 198.0, 151.0)
PROJECTOR = Camera(
    240, 320, 460.0, 461.0, 158.0, 117.0,
    pose=Pose(boards.turned(0, -18, 1), np.array([85.0, 2.0, 8.0])),
)  # fmt: skip
CODE = Code("temporal", (320, 240), ("column", "row"), periods=(20.0, 80.0, 320.0), steps=3)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Five stacks of patterns on a leaning target, and the poses of a turntable under it."""
    folder = tmp_path_factory.mktemp("stacks")
    rng = np.random.default_rng(8)
    for number, pose in enumerate(boards.placed(SMALL, rng, 5, distance=260, spread=12)):
        view = folder / "points" / f"{number:02d}"
        view.mkdir(parents=True)
        frames = boards.lit(SMALL, CAMERA, PROJECTOR, pose, rng, draw(CODE))
        names = []
        for place, frame in enumerate(frames):
            names.append(f"{place:03d}.png")
            Image.fromarray(frame).save(view / names[-1], compress_level=1)
        write_stack(view, CODE, [names])
    return folder


def test_a_projector_is_calibrated_from_stacks_and_then_holds(stacks, tmp_path):
    fit = calibrate_folder(stacks, SMALL, out=tmp_path / "rig.toml")
    assert set(fit.rig.cameras) == {"points", "projector"}
    found, off = fit.rig.cameras["projector"], fit.sensors["projector"].deviations
    assert (found.height, found.width) == (240, 320)
    assert abs(found.fx - PROJECTOR.fx) < max(5 * off[0], 0.01 * PROJECTOR.fx)
    shift = np.abs(found.pose.translation - PROJECTOR.pose.translation)
    assert (shift < np.maximum(5 * off[12:], 1.0)).all()
    assert fit.sensors["projector"].rms < 0.2
    check = check_folder(stacks, SMALL, tmp_path / "rig.toml")
    assert check.holds
    assert check.sensors["projector"].views == 5


def test_stacks_of_columns_alone_cannot_calibrate_a_projector(tmp_path):
    code = Code("gray", (320, 240), periods=(16.0,), steps=4)
    view = tmp_path / "points" / "00"
    view.mkdir(parents=True)
    names = [f"{place:03d}.png" for place in range(len(code))]
    for name in names:
        Image.new("L", (40, 30)).save(view / name)
    write_stack(view, code, [names])
    with pytest.raises(CalibrationError, match="project columns and rows"):
        calibrate_folder(tmp_path, SMALL)


def test_the_projectors_name_is_no_cameras(stacks):
    with pytest.raises(CalibrationError, match="rename one of them"):
        calibrate_folder(stacks, SMALL, projector="points")


STATION = {name: boards.station()[name] for name in ("left", "right")}
RIG = Rig("station", "left", STATION)
MOUNT = Pose(boards.turned(10, -30, 80), np.array([40.0, -60.0, 110.0]))
STILL = Pose(boards.turned(170, 5, 20), np.array([600.0, 100.0, 50.0]))


def unsure(rng):
    """A robot's own error: 0.05 mm and 0.01°."""
    turn = Rotation.from_rotvec(rng.normal(0, 2e-4, 3)).as_matrix()
    return Pose(turn, rng.normal(0, 0.05, 3))


def hand(kind, seed=1, count=10):
    """Views and flange poses of a robot that holds the camera or the target."""
    rng = np.random.default_rng(seed)
    seen = boards.placed(boards.CHARUCO, rng, count)
    given = [chained(STILL, inverse(chained(MOUNT, pose))) for pose in seen]
    if kind == "target-on-hand":
        given = [inverse(pose) for pose in given]
    given = {f"view{n:02d}": chained(unsure(rng), pose) for n, pose in enumerate(given)}
    return {n: boards.sightings(c, seen, rng) for n, c in STATION.items()}, given


@pytest.mark.parametrize("kind", ["camera-on-hand", "target-on-hand"])
def test_a_hand_is_found_within_what_it_promises(kind):
    views, given = hand(kind)
    given["elsewhere"] = Pose()
    motion = calibrate_motion(RIG, views, boards.CHARUCO, given, kind)
    off = np.abs(motion.mount.translation - MOUNT.translation)
    assert (off <= 4 * motion.deviations[3:6]).all()
    assert off.max() < 1.5
    assert np.abs(motion.mount.rotation - MOUNT.rotation).max() < 4e-3
    assert np.abs(motion.still.translation - STILL.translation).max() < 1.0
    assert motion.outliers == ()
    assert max(mm for mm, _ in motion.errors.values()) < 0.6


def test_a_wrong_robot_pose_is_named():
    views, given = hand("camera-on-hand")
    given["view04"] = chained(Pose(np.eye(3), np.array([6.0, 0, 0])), given["view04"])
    motion = calibrate_motion(RIG, views, boards.CHARUCO, given, "camera-on-hand")
    assert [outlier.view for outlier in motion.outliers] == ["view04"]
    assert "view04" not in motion.errors
    assert np.abs(motion.mount.translation - MOUNT.translation).max() < 1.5


def table(step, count=8):
    """Views on a turntable and its angles."""
    rng = np.random.default_rng(2)
    turn = boards.turned(120, 20, 0)
    mount = Pose(turn, -turn @ np.array([10.0, 30.0, 520.0]))
    still = Pose(boards.turned(8, 5, 20), np.array([-60.0, -50.0, 20.0]))
    given = {f"view{n:02d}": turned(n * step) for n in range(count)}
    seen = [chained(inverse(mount), chained(pose, still)) for pose in given.values()]
    views = {name: boards.sightings(camera, seen, rng) for name, camera in STATION.items()}
    return views, given, mount


def test_a_turntables_axis_is_found():
    views, given, mount = table(40.0)
    motion = calibrate_motion(RIG, views, boards.CHARUCO, given, "turntable")
    point, direction = motion.axis
    assert direction @ mount.rotation[2] > np.cos(np.deg2rad(0.02))
    assert np.linalg.norm(np.cross(point - mount.centre, mount.rotation[2])) < 0.05
    assert motion.rms < 0.1
    mixed = dict(
        zip(given, [list(given.values())[n] for n in (0, 5, 2, 7, 1, 3, 6, 4)], strict=True)
    )
    with pytest.raises(CalibrationError, match="agree with one turntable"):
        calibrate_motion(RIG, views, boards.CHARUCO, mixed, "turntable")


def test_motions_that_leave_something_open_are_refused():
    views, given, _ = table(40.0)
    with pytest.raises(CalibrationError, match="about different axes"):
        calibrate_motion(RIG, views, boards.CHARUCO, given, "camera-on-hand")
    views, given, _ = table(0.5)
    with pytest.raises(CalibrationError, match="turned by less than 6°"):
        calibrate_motion(RIG, views, boards.CHARUCO, given, "turntable")
    few = dict(list(given.items())[:3])
    with pytest.raises(CalibrationError, match="3 view"):
        calibrate_motion(RIG, views, boards.CHARUCO, few, "turntable")
    with pytest.raises(CalibrationError, match="there are: camera-on-hand"):
        calibrate_motion(RIG, views, boards.CHARUCO, given, "crane")


def test_poses_of_other_views_are_refused_rather_than_averaged():
    views, given = hand("camera-on-hand", count=7)
    mixed = dict(zip(given, [*list(given.values())[3:], *list(given.values())[:3]], strict=True))
    with pytest.raises(CalibrationError, match="agree with one camera-on-hand"):
        calibrate_motion(RIG, views, boards.CHARUCO, mixed, "camera-on-hand")


def test_a_motion_file_gives_poses_in_either_form(tmp_path):
    path = tmp_path / "motion.toml"
    path.write_text(
        'kind = "camera-on-hand"\n'
        "[views.a]\nrotation = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]\ntranslation = [1, 2, 3]\n"
        "[views.b]\nquaternion = [0, 0, 0.70711, 0.70711]\ntranslation = [1, 2, 3.0]\n"
    )
    kind, given = read_motion(path)
    assert kind == "camera-on-hand"
    assert np.allclose(given["a"].rotation, given["b"].rotation, atol=1e-5)
    path.write_text('kind = "turntable"\n[views.a]\nangle = 90\n')
    assert np.allclose(read_motion(path)[1]["a"].rotation[1], [1, 0, 0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "crane"\n[views.a]\nangle = 1', "one of camera-on-hand"),
        ('kind = "turntable"\n[views.a]\nangel = 1', "angle was promised"),
        ('kind = "turntable"\n[views.a]\nangle = "x"', "one number"),
        ('kind = "turntable"\n[views]\na = 3', "a table was promised"),
        ('kind = "camera-on-hand"\n[views.a]\ntranslation = [1, 2, 3]', "either rotation or"),
        (
            'kind = "camera-on-hand"\n[views.a]\nquaternion = [1, 1, 0, 0]\n'
            "translation = [1, 2, 3]",
            "length is not 1",
        ),
        (
            'kind = "camera-on-hand"\n[views.a]\nrotation = [[2, 0, 0], [0, 1, 0], [0, 0, 1]]\n'
            "translation = [1, 2, 3]",
            "is no rotation",
        ),
        ("kind =", "is not TOML"),
    ],
)
def test_a_wrong_motion_file_is_refused(text, said, tmp_path):
    path = tmp_path / "motion.toml"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=said):
        read_motion(path)


def test_a_folder_with_a_motion_file_reports_it(tmp_path):
    rng = np.random.default_rng(5)
    turn = boards.turned(150, 10, 0)
    mount = Pose(turn, -turn @ np.array([0.0, 5.0, 270.0]))
    still = Pose(boards.turned(180, 12, 10), np.array([-50.0, 30.0, 4.0]))
    (tmp_path / "rgb").mkdir()
    lines = ['kind = "turntable"']
    for number in range(6):
        pose = chained(inverse(mount), chained(turned(60 * number), still))
        frame = boards.render(SMALL, CAMERA, pose, rng)
        Image.fromarray(frame).save(tmp_path / "rgb" / f"{number}.png")
        lines.append(f"[views.{number}]\nangle = {60 * number}")
    (tmp_path / "motion.toml").write_text("\n".join(lines))
    calibrate_folder(tmp_path, SMALL, out=tmp_path / "rig.toml")
    told = json.loads((tmp_path / "rig.calibration.json").read_text())["motion"]
    assert abs(np.array(told["axis"]["direction"]) @ mount.rotation[2]) > np.cos(np.deg2rad(1.5))
    assert "## Motion: turntable" in (tmp_path / "rig.calibration.md").read_text()
