"""Rigs from planted views: cameras, an infrared one and a projector, joined and checked."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdefect.calibration import (
    Target,
    calibrate_folder,
    calibrate_rig,
    check_folder,
    check_rig,
    check_rows,
    check_text,
    fit_rows,
    fit_text,
    projector_sighting,
    write_fit,
)
from mmdefect.calibration.rig import turned_over
from mmdefect.errors import CalibrationError, SensorError
from mmdefect.registration import Camera, Division, Pose, Rig, read_rig

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import boards
from boards import sightings

pytest.importorskip("cv2", reason="OpenCV finds targets")
STATION = boards.station()


def views_of(station, seed, count=12, target=boards.CHARUCO, **kind):
    """Planted views of a station's cameras, all of the same poses."""
    rng = np.random.default_rng(seed)
    poses = boards.placed(target, rng, count)
    return {
        name: sightings(camera, poses, rng, target=target, **kind)
        for name, camera in station.items()
    }


@pytest.fixture(scope="module")
def views():
    found = views_of(STATION, 1)
    for view in ("view00", "view05"):
        del found["right"][view]
    del found["infrared"]["view03"]
    return found


@pytest.fixture(scope="module")
def fit(views):
    return calibrate_rig(views, boards.CHARUCO, reference="left", name="station")


def test_all_sensors_stand_where_they_were_planted(fit):
    assert fit.rig.reference == "left"
    assert list(fit.rig.cameras) == list(STATION)
    for name, true in STATION.items():
        found, off = fit.rig.cameras[name], fit.sensors[name].deviations
        shift = np.abs(found.pose.translation - true.pose.translation)
        assert (shift <= 4 * off[12:] + 1e-9).all(), name
        assert shift.max() < 0.6
        assert abs(found.fx - true.fx) <= 4 * off[0]
        assert abs(found.cx - true.cx) <= 4 * off[2]
        assert fit.sensors[name].sigma == pytest.approx(0.05, rel=0.15)
    assert fit.outliers == ()
    assert fit.shared[("left", "right")] == 10
    assert len(fit.poses) == 12


def test_the_reference_stays_where_it_is(fit):
    assert fit.rig.cameras["left"].pose == Pose()
    assert not fit.sensors["left"].deviations[9:].any()


def test_cameras_that_never_see_one_view_together_are_joined_by_a_third(views, fit):
    apart = {name: dict(views[name]) for name in ("left", "right", "infrared")}
    for number in range(12):
        apart["left" if number < 6 else "right"].pop(f"view{number:02d}", None)
    for name, part in (("left", range(6, 12)), ("right", range(6))):
        more = views_of({name: STATION[name], "infrared": STATION["infrared"]}, 7 + part[0], 8)
        for view, one in more[name].items():
            apart[name][f"{name} {view}"] = one
            apart["infrared"][f"{name} {view}"] = more["infrared"][view]
    found = calibrate_rig(apart, boards.CHARUCO, reference="left")
    assert found.shared[("left", "right")] == 0
    shift = found.rig.cameras["right"].pose.translation - STATION["right"].pose.translation
    assert np.abs(shift).max() < 1.0


def test_cameras_without_views_in_common_are_refused_by_name(views):
    apart = {name: dict(views[name]) for name in ("left", "right")}
    apart["right"] = {f"other {view}": one for view, one in apart["right"].items()}
    with pytest.raises(CalibrationError, match=r"right: shares at most 0 view\(s\) with left"):
        calibrate_rig(apart, boards.CHARUCO)


def test_views_paired_wrongly_are_named(views):
    mixed = {name: dict(views[name]) for name in ("left", "right")}
    right = mixed["right"]
    right["view07"], right["view08"] = right["view08"], right["view07"]
    fit = calibrate_rig(mixed, boards.CHARUCO)
    assert {(o.camera, o.view) for o in fit.outliers} == {("right", "view07"), ("right", "view08")}
    assert all("not the other cameras'" in outlier.reason for outlier in fit.outliers)
    shift = fit.rig.cameras["right"].pose.translation - STATION["right"].pose.translation
    assert np.abs(shift).max() < 0.6


def test_a_target_nudged_between_two_exposures_is_named(views):
    nudged = {name: dict(views[name]) for name in ("left", "infrared")}
    one = nudged["infrared"]["view06"]
    nudged["infrared"]["view06"] = replace(one, pixels=one.pixels + np.array([0.7, -0.4]))
    fit = calibrate_rig(nudged, boards.CHARUCO)
    assert [(outlier.camera, outlier.view) for outlier in fit.outliers] == [("infrared", "view06")]


def test_a_camera_whose_views_are_all_paired_wrongly_is_refused(views):
    mixed = {name: dict(views[name]) for name in ("left", "right")}
    names = list(mixed["right"])
    mixed["right"] = {
        name: mixed["right"][names[(place + 1) % len(names)]] for place, name in enumerate(names)
    }
    with pytest.raises(CalibrationError, match="more than a third of its"):
        calibrate_rig(mixed, boards.CHARUCO)


def test_a_target_that_may_be_upside_down_is_turned_the_same_way_for_all():
    target = boards.CIRCLES
    station = {name: STATION[name] for name in ("left", "right")}
    seen = views_of(station, 3, target=target)
    rng = np.random.default_rng(4)
    flipped = {
        name: {view: turned_over(one, target, rng.random() < 0.5) for view, one in part.items()}
        for name, part in seen.items()
    }
    fit = calibrate_rig(flipped, target)
    shift = fit.rig.cameras["right"].pose.translation - STATION["right"].pose.translation
    assert np.abs(shift).max() < 0.6
    assert fit.outliers == ()


def test_upside_down_targets_seen_too_alike_are_refused():
    target = boards.CIRCLES
    station = {name: STATION[name] for name in ("left", "right")}
    rng = np.random.default_rng(3)
    pose = boards.placed(target, rng, 1)[0]
    poses = [Pose(pose.rotation, pose.translation + rng.normal(0, 0.5, 3)) for _ in range(4)]
    leaning = boards.placed(target, rng, 10)
    seen = {
        name: sightings(camera, poses, rng, target=target)
        | {
            f"{name} {view}": one
            for view, one in sightings(camera, leaning, rng, target=target).items()
        }
        for name, camera in station.items()
    }
    with pytest.raises(CalibrationError, match="looks the same upside down"):
        calibrate_rig(seen, target)


def test_an_unknown_reference_is_refused(views):
    with pytest.raises(CalibrationError, match="the reference 'rgb' has no views"):
        calibrate_rig(views, boards.CHARUCO, reference="rgb")


@pytest.mark.parametrize("target", [boards.CHARUCO, boards.CIRCLES], ids=lambda t: t.kind)
def test_a_projectors_picture_of_the_target_is_read_through_the_camera(target):
    small = boards.station(640)
    small = {name: replace(camera, height=480) for name, camera in small.items()}
    small["projector"] = replace(small["projector"], height=400)
    rng = np.random.default_rng(2)
    pose = boards.placed(target, rng, 1, tilt=20)[0]
    camera, projector = small["left"], small["projector"]
    seen = sightings(camera, [pose], rng, target=target, noise=0.02)["view00"]
    places = boards.decoded(target, camera, projector, pose, rng)
    places[:, ::37, ::41] += 50
    found = projector_sighting(places, seen, target, (400, 640), camera=camera, pose=pose)
    true = projector.project(boards.onto(pose, target.points))[found.numbers]
    off = np.linalg.norm(found.pixels - true, axis=1)
    assert len(off) > 0.8 * len(seen.numbers)
    assert np.median(off) < 0.06
    assert off.max() < 0.25
    assert found.size == (400, 640)
    with pytest.raises(CalibrationError, match="decoded places have the shape"):
        projector_sighting(places[:, 1:], seen, target, (400, 640), camera=camera, pose=pose)
    places[:] = np.nan
    assert projector_sighting(places, seen, target, (400, 640), camera=camera, pose=pose) is None


@pytest.fixture(scope="module")
def rig():
    return Rig("station", "left", STATION)


def bumped(pixels, name="right"):
    """The station after a knock that turned one camera by as many pixels."""
    camera = STATION[name]
    turn = boards.turned(0, np.degrees(pixels / camera.fx), 0)
    pose = Pose(turn @ camera.pose.rotation, turn @ camera.pose.translation)
    return STATION | {name: replace(camera, pose=pose)}


def test_an_untouched_rig_holds(rig):
    check = check_rig(rig, views_of(STATION, 5, 4), boards.CHARUCO)
    assert check.holds
    assert check.unseen == ()
    assert max(sensor.bump for sensor in check.sensors.values()) < 0.1
    assert "The rig holds." in check_text(check)


@pytest.mark.parametrize("name", ["right", "infrared", "left"])
def test_a_camera_bumped_by_a_pixel_is_named_and_measured(rig, name):
    check = check_rig(rig, views_of(bumped(1.0, name), 5, 4), boards.CHARUCO)
    assert [n for n, sensor in check.sensors.items() if not sensor.holds] == [name]
    assert check.sensors[name].lens_holds
    if name != rig.reference:
        assert check.sensors[name].bump == pytest.approx(1.0, abs=0.15)
    assert not check.holds
    assert "moved or zoomed" in check_text(check)


def test_a_changed_lens_is_told_from_a_moved_camera(rig):
    lens = replace(STATION["right"].lens, k1=STATION["right"].lens.k1 + 0.15)
    changed = STATION | {"right": replace(STATION["right"], lens=lens)}
    check = check_rig(rig, views_of(changed, 5, 4), boards.CHARUCO)
    assert not check.sensors["right"].lens_holds
    assert check.sensors["left"].holds
    assert "lens changed" in check_text(check)


def test_a_rig_with_halcons_lens_is_checked_as_well():
    division = replace(STATION["left"], lens=Division(-0.2))
    rng = np.random.default_rng(1)
    poses = boards.placed(boards.CHARUCO, rng, 3)
    plain = sightings(replace(division, lens=type(STATION["left"].lens)()), poses, rng, noise=0)
    bent = {}
    for view, one in plain.items():
        x, y = ((one.pixels - [division.cx, division.cy]) / [division.fx, division.fy]).T
        pixels = np.stack(division.lens.distort(x, y), axis=1) * [division.fx, division.fy]
        bent[view] = replace(one, pixels=pixels + np.array([division.cx, division.cy]))
    check = check_rig(Rig("r", "left", {"left": division}), {"left": bent}, boards.CHARUCO)
    assert check.holds
    assert check.sensors["left"].alone < 1e-3


def test_checks_refuse_what_is_not_the_rigs(rig, views):
    with pytest.raises(CalibrationError, match="found in no view"):
        check_rig(rig, {"left": {}}, boards.CHARUCO)
    with pytest.raises(CalibrationError, match="there are views of top"):
        check_rig(rig, {"top": views["left"]}, boards.CHARUCO)
    small = {view: replace(one, size=(480, 640)) for view, one in views["left"].items()}
    with pytest.raises(CalibrationError, match=r"480x640 pixels .* were found"):
        check_rig(rig, {"left": small}, boards.CHARUCO)


def test_the_report_holds_errors_deviations_and_coverage(fit):
    rows = json.loads(json.dumps(fit_rows(fit), allow_nan=False))
    left = rows["cameras"]["left"]
    assert left["standard_deviations"]["fx"] == pytest.approx(fit.sensors["left"].deviations[0])
    assert left["standard_deviations"]["k3"] == 0
    assert 0.3 < left["coverage"] <= 1
    assert set(left["views"]) == {f"view{number:02d}" for number in range(12)}
    assert "view00" not in rows["cameras"]["right"]["views"]
    text = fit_text(fit)
    assert re.search(r"\| left \| 12 \| 0\.0\d\d \| 16\d\d\.\d\d ± 0\.\d\d \|", text)
    assert "| view00 |" in text
    assert " – |" in text


def test_a_rig_file_is_never_written_over_unless_told(fit, tmp_path):
    path = tmp_path / "rig.toml"
    write_fit(fit, path)
    assert read_rig(path) == fit.rig
    assert {one.name for one in tmp_path.iterdir()} == {
        "rig.toml", "rig.calibration.json", "rig.calibration.md",
    }  # fmt: skip
    with pytest.raises(CalibrationError, match=r"rig\.toml' exists"):
        calibrate_folder(tmp_path, boards.CHARUCO, out=path)
    with pytest.raises(CalibrationError, match="name a folder that is there"):
        write_fit(fit, tmp_path / "none" / "rig.toml")


SMALL = Target("charuco", 5, 7, 15.0, marker=11.0, dictionary="4X4_50")
CAMERAS = {
    "infrared": Camera(
        240, 320, 410.0, 411.0, 161.0, 118.0,
        pose=Pose(boards.turned(8, 4, 1), np.array([-15.0, 40.0, 10.0])),
    ),
    "rgb": Camera(300, 400, 560.0, 561.0, 198.0, 151.0),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rendered frames of two cameras, one of them of heat, with one frame without the target."""
    folder = tmp_path_factory.mktemp("views")
    rng = np.random.default_rng(8)
    poses = boards.placed(SMALL, rng, 7, distance=260, spread=25)
    for name, camera in CAMERAS.items():
        (folder / name).mkdir()
        look = boards.Look(inverted=name == "infrared")
        for number, pose in enumerate(poses):
            frame = boards.render(SMALL, camera, pose, rng, look)
            Image.fromarray(frame).save(folder / name / f"{number:02d}.png")
    (folder / "rgb" / "notes").write_text("no frame")
    (folder / "rgb" / "old").mkdir()
    blank = Image.fromarray(np.full((300, 400), 90, dtype=np.uint8))
    blank.save(folder / "rgb" / "90.png")
    return folder


def test_a_folder_of_frames_becomes_a_rig_file_that_then_holds(folder, tmp_path):
    out = tmp_path / "station.toml"
    fit = calibrate_folder(folder, SMALL, out=out, reference="rgb")
    rig = read_rig(out)
    assert (rig.name, rig.reference) == ("station", "rgb")
    assert fit.sensors["infrared"].inverted
    assert not fit.sensors["rgb"].inverted
    assert fit.unseen == {"infrared": (), "rgb": ("90",)}
    for name, true in CAMERAS.items():
        off = fit.sensors[name].deviations
        assert abs(rig.cameras[name].fx - true.fx) < max(5 * off[0], 0.01 * true.fx)
        shift = np.abs(rig.cameras[name].pose.translation - true.pose.translation)
        assert shift.max() < 3.0
    assert "the target was not found in 90" in (tmp_path / "station.calibration.md").read_text()
    check = check_folder(folder, SMALL, out)
    assert check.holds
    assert json.loads(json.dumps(check_rows(check)))["cameras"]["rgb"]["holds"] is True


def test_folders_that_hold_no_views_are_refused(tmp_path):
    with pytest.raises(CalibrationError, match="no folder"):
        calibrate_folder(tmp_path / "none", SMALL)
    with pytest.raises(CalibrationError, match="holds no folder with frames"):
        calibrate_folder(tmp_path, SMALL)
    (tmp_path / "rgb").mkdir()
    Image.new("L", (40, 30)).save(tmp_path / "rgb" / "a.png")
    with pytest.raises(CalibrationError, match=r"rgb: the target was found in 0 view"):
        calibrate_folder(tmp_path, SMALL)
    with pytest.raises(CalibrationError, match="the reference 'top' has no folder"):
        calibrate_folder(tmp_path, SMALL, reference="top")
    Image.new("L", (40, 30)).save(tmp_path / "rgb" / "a.bmp")
    with pytest.raises(CalibrationError, match="one view twice"):
        calibrate_folder(tmp_path, SMALL)
    (tmp_path / "rgb" / "a.bmp").unlink()
    (tmp_path / "rgb" / "b.png").write_bytes(b"")
    with pytest.raises(SensorError, match=r"b\.png"):
        calibrate_folder(tmp_path, SMALL)
