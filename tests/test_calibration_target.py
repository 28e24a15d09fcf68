"""Targets: described, printed to size, and found where they were put."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdefect.calibration import Target, read_target, sight, sight_file, target_text, write_target
from mmdefect.calibration.drawing import reflectance
from mmdefect.calibration.sighting import as_grey
from mmdefect.errors import CalibrationError, SensorError
from mmdefect.registration import Camera, Pose

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import boards

cv2 = pytest.importorskip("cv2", reason="OpenCV finds targets")
CHARUCO = Target("charuco", 5, 7, 15.0, marker=11.0, dictionary="4X4_50")
CHESSBOARD = Target("chessboard", 6, 9, 12.0)
TWIN = Target("chessboard", 5, 7, 15.0)
CIRCLES = Target("circles", 5, 7, 16.0, diameter=9.0)
ASYMMETRIC = Target("asymmetric-circles", 7, 4, 12.0, diameter=9.0)
ALL = [CHARUCO, CHESSBOARD, TWIN, CIRCLES, ASYMMETRIC]
CAMERA = Camera(360, 480, 620.0, 622.0, 238.0, 182.0)


@pytest.mark.parametrize("target", ALL, ids=lambda target: target.kind)
def test_a_description_reads_back(target, tmp_path):
    path = tmp_path / "target.toml"
    path.write_text(target_text(target))
    assert read_target(path) == target


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind = 'dartboard'\nrows = 5\ncolumns = 7\nsquare = 3", "there are: chessboard"),
        ("kind = 'chessboard'\nrows = 5\ncolumns = 7", "lacks 'square'"),
        ("kind = 'chessboard'\nrows = 5\ncolumns = 7\nsquare = 3\nmarker = 2", "unknown key 'mark"),
        ("kind = 'chessboard'\nrows = 5\ncolumns = 7\nsquare = -3.0", "positive lengths"),
        ("kind = 'chessboard'\nrows = 6\ncolumns = 6\nsquare = 3.0", "as many rows as columns"),
        ("kind = 'chessboard'\nrows = 1\ncolumns = 7\nsquare = 3.0", "3 to 100 of each"),
        ("kind = 'chessboard'\nrows = 5.5\ncolumns = 7\nsquare = 3.0", "rows is 5.5"),
        ("kind = 'chessboard'\nrows = true\ncolumns = 7\nsquare = 3.0", "rows is True"),
        ("kind = 'circles'\nrows = 5\ncolumns = 7\nspacing = 3\ndiameter = 4", "below the first"),
        ("kind = 'circles'\nrows = 5\ncolumns = 7\nspacing = nan\ndiameter = 4", "positive length"),
        ("kind = 'chessboard'\nrows = 5\ncolumns = 7\nsquare = 1" + "0" * 400, "wrong type or"),
        ("kind = ['chessboard']\nrows = 5\ncolumns = 7\nsquare = 1", "wrong type or size"),
        ("kind = " + "[" * 3000, "is not TOML"),
        ("kind = ", "is not TOML"),
    ],
)
def test_a_wrong_description_is_refused_with_the_remedy(text, said, tmp_path):
    path = tmp_path / "target.toml"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=re.escape(said)) as refused:
        read_target(path)
    assert "target.toml" in str(refused.value)


def test_a_missing_description_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match="no target file"):
        read_target(tmp_path / "none.toml")


def test_a_charuco_board_is_opencvs():
    markers = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    board = cv2.aruco.CharucoBoard((7, 5), 15.0, 11.0, markers)
    drawn = board.generateImage((7 * 90, 5 * 90))
    x, y = np.meshgrid((np.arange(630) + 0.5) / 6, (np.arange(450) + 0.5) / 6)
    assert np.array_equal(reflectance(CHARUCO, x, y) * 255, drawn)
    assert np.allclose(board.getChessboardCorners(), CHARUCO.points)


def test_a_dictionary_must_exist_and_hold_enough_markers():
    with pytest.raises(CalibrationError, match="4X4_50"):
        write_target(Target("charuco", 5, 7, 15.0, 11.0, "9X9"), "x.svg")
    with pytest.raises(CalibrationError, match="needs 60 markers"):
        write_target(Target("charuco", 10, 12, 15.0, 11.0, "4X4_50"), "x.svg")


@pytest.mark.parametrize("target", ALL, ids=lambda target: target.kind)
def test_a_printed_target_is_found_at_its_printed_size(target, tmp_path):
    path = tmp_path / "target.png"
    write_target(target, path, dpi=127)
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((127, 127), abs=0.05)
        found = sight(np.asarray(image), target)
    assert len(found.numbers) == len(target.points)
    left, top, _, _ = target.extent
    drawn = (target.points[:, :2] - [left - target.pitch, top - target.pitch]) * 5 - 0.5
    off = found.pixels - drawn
    if target.turns:
        off = min(off, found.pixels[::-1] - drawn, key=lambda off: np.abs(off).max())
    assert np.abs(off).max() < 0.15


@pytest.mark.parametrize("target", ALL, ids=lambda target: target.kind)
def test_a_drawing_has_millimetres_and_as_many_shapes_as_the_target(target, tmp_path):
    path = tmp_path / "target.svg"
    write_target(target, path)
    text = path.read_text()
    left, _, right, _ = target.extent
    assert f'width="{right - left + 2 * target.pitch:g}mm"' in text
    if target.round:
        assert text.count("<circle") == target.rows * target.columns
    elif target.kind == "chessboard":
        assert text.count("<rect") == 1 + (target.rows * target.columns + 1) // 2


def test_a_target_is_written_as_png_or_svg_of_a_sensible_size(tmp_path):
    with pytest.raises(CalibrationError, match="neither"):
        write_target(CHESSBOARD, tmp_path / "target.pdf")
    with pytest.raises(CalibrationError, match="fewer dpi"):
        write_target(Target("chessboard", 30, 41, 50.0), tmp_path / "target.png", dpi=2400)


def posed(target: Target, roll: float) -> Pose:
    """A leaning pose before the camera, rolled by degrees."""
    turn = boards.turned(18, -22, roll)
    left, top, right, bottom = target.extent
    middle = np.array([(left + right) / 2, (top + bottom) / 2, 0.0])
    return Pose(turn, np.array([2.0, -3.0, 240.0]) - turn @ middle)


@pytest.mark.parametrize(("roll", "inverted"), [(8, True), (175, False)])
@pytest.mark.parametrize("target", ALL, ids=lambda target: target.kind)
def test_points_are_found_in_the_targets_own_order(target, roll, inverted):
    rng = np.random.default_rng(3)
    pose = posed(target, roll)
    frame = boards.render(target, CAMERA, pose, rng, boards.Look(inverted=inverted))
    found = sight(frame, target)
    assert found.inverted == inverted
    assert found.size == (360, 480)
    true = CAMERA.project(boards.onto(pose, target.points))
    off = np.linalg.norm(found.pixels - true[found.numbers], axis=1)
    if target.turns:
        off = min(off, np.linalg.norm(found.pixels - true[::-1], axis=1), key=np.median)
    assert len(off) > 0.7 * len(target.points)
    assert np.median(off) < 0.12
    assert np.percentile(off, 90) < 0.3


def test_polarity_can_be_declared_where_the_sheets_edge_is_not_seen():
    rng = np.random.default_rng(4)
    frame = boards.render(CHESSBOARD, CAMERA, posed(CHESSBOARD, 8), rng)
    right, wrong = sight(frame, CHESSBOARD, False), sight(frame, CHESSBOARD, True)
    assert np.abs(right.pixels - wrong.pixels[::-1]).max() < 0.01


def test_a_board_that_is_cut_off_still_gives_its_charuco_corners():
    rng = np.random.default_rng(5)
    frame = boards.render(CHARUCO, CAMERA, posed(CHARUCO, 8), rng)
    found = sight(frame[:, : frame.shape[1] // 2 + 20], CHARUCO)
    assert 6 <= len(found.numbers) < len(CHARUCO.points)


@pytest.mark.parametrize("target", ALL, ids=lambda target: target.kind)
def test_nothing_is_found_where_nothing_is(target):
    rng = np.random.default_rng(6)
    assert sight(rng.integers(0, 255, (60, 80), dtype=np.uint8), target) is None
    assert sight(np.full((90, 120), np.nan), target) is None


def test_frames_of_every_type_come_to_eight_bits():
    rng = np.random.default_rng(7)
    plain = boards.render(CHARUCO, CAMERA, posed(CHARUCO, 8), rng)
    kelvin = 293.0 + plain.astype(np.float32) / 100
    kelvin[5, 5] = np.nan
    deep = plain.astype(np.uint16) * 3 + 20000
    for frame in (kelvin, deep, np.stack([plain] * 3, axis=-1)):
        assert as_grey(frame).dtype == np.uint8
        found = sight(frame, CHARUCO)
        assert len(found.numbers) > 0.9 * len(CHARUCO.points)


@pytest.mark.parametrize("target", ALL, ids=lambda target: target.kind)
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (2, 900), (24, 24), (17, 400)])
def test_frames_too_small_for_a_target_show_none(target, shape):
    assert sight(np.zeros(shape, dtype=np.uint8), target) is None


def test_arrays_that_are_no_picture_are_refused(tmp_path):
    path = tmp_path / "view.npy"
    np.save(path, np.zeros((4, 30, 40)))
    with pytest.raises(SensorError, match=r"view\.npy: holds an array of shape \(4, 30, 40\)"):
        sight_file(path, CHARUCO)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "view.png"
    path.write_bytes(b"\x89PNG not")
    with pytest.raises(SensorError, match=r"view\.png"):
        sight_file(path, CHARUCO)


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CalibrationError, match=r"pip install 'mmdefect\[rig\]'"):
        sight(np.zeros((40, 40), dtype=np.uint8), CHESSBOARD)


def test_an_opencv_that_dropped_hand_eye_is_named(monkeypatch):
    monkeypatch.delattr(cv2, "calibrateHandEye")
    with pytest.raises(CalibrationError, match="lacks calibrateHandEye"):
        sight(np.zeros((40, 40), dtype=np.uint8), CHESSBOARD)
