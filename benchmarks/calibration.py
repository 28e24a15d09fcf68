"""How far calibration is from planted truth, beside plain cv2.calibrateCamera on the same views.

    python benchmarks/calibration.py --part rendered --runs 3
    python benchmarks/calibration.py --part solver --runs 100
    python benchmarks/calibration.py --part outliers --runs 40
    python benchmarks/calibration.py --part projector --runs 2
    python benchmarks/calibration.py --part motion --runs 40

``rendered`` draws frames, finds targets in them and solves; ``solver`` starts from planted points
with noise, of three cameras and a projector at once, and holds errors against the standard
deviations that were promised; ``outliers`` plants one wrong view; ``projector`` decodes stacks of
patterns that a planted projector shows on the target; ``motion`` ties robots and turntables.

*map* is the error that a user of the camera sees: rays through 20 x 20 pixels of the frame,
turned onto the true ones as well as one rotation can, in px rms; *seen* takes only pixels within
the hull of the points that were seen.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace

import boards
import cv2
import numpy as np
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from mmdefect.calibration import (
    Sighting,
    Target,
    calibrate_camera,
    calibrate_motion,
    calibrate_rig,
    projector_sighting,
    sight,
    turned,
)
from mmdefect.calibration._blocks import camera_of
from mmdefect.calibration._graph import chained, inverse
from mmdefect.errors import CalibrationError
from mmdefect.registration import Camera, Pose, Rig
from mmdefect.structured.codes import Code
from mmdefect.structured.decode import decode_frames
from mmdefect.structured.patterns import draw

STATION = boards.station()
MOUNT = Pose(boards.turned(10, -30, 80), np.array([40.0, -60.0, 110.0]))
STILL = Pose(boards.turned(170, 5, 20), np.array([600.0, 100.0, 50.0]))


def plain(sightings: Mapping[str, Sighting], target: Target) -> Camera:
    """The camera that OpenCV finds, with its five coefficients and no second thought."""
    points = [target.points[s.numbers].astype(np.float32) for s in sightings.values()]
    pixels = [s.pixels.astype(np.float32)[:, None] for s in sightings.values()]
    size = next(iter(sightings.values())).size
    _, matrix, lens, _, _ = cv2.calibrateCamera(points, pixels, size[::-1], None, None)
    focal = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
    return camera_of(np.array([*focal, *lens.ravel()[:5]]), size)


def map_errors(found: Camera, true: Camera, seen: np.ndarray) -> tuple[float, float]:
    """Errors of rays in px rms: over the frame, and where points were seen."""
    x, y = np.meshgrid(np.linspace(0, true.width - 1, 20), np.linspace(0, true.height - 1, 20))
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    inside = Delaunay(seen).find_simplex(grid) >= 0
    own = replace(true, pose=Pose())
    errors = []
    for pixels in (grid, grid[inside]):
        ours = replace(found, pose=Pose()).directions(pixels)
        theirs = own.directions(pixels)
        known = np.isfinite(ours).all(1)
        turn, _ = Rotation.align_vectors(theirs[known], ours[known])
        off = np.linalg.norm(turn.apply(ours[known]) - theirs[known], axis=1) * true.fx
        errors.append(float(np.sqrt((off**2).mean())))
    return errors[0], errors[1]


def row(*parts: object) -> None:
    """Print a row of a table."""
    cells = (f"{part:.3f}" if isinstance(part, float) else str(part) for part in parts)
    print("| " + " | ".join(cells) + " |", flush=True)


def head(*parts: str) -> None:
    """Print the head of a table."""
    row(*parts)
    row(*["---"] * len(parts))


def both(seen: Mapping[str, Sighting], target: Target, true: Camera) -> Iterator[tuple]:
    """What this package and plain OpenCV find on the same views: who, camera, errors."""
    pixels = np.concatenate([one.pixels for one in seen.values()])
    ours = calibrate_camera(seen, target).camera
    for who, camera in (("mmdefect", ours), ("OpenCV", plain(seen, target))):
        yield who, camera, map_errors(camera, true, pixels)


def rendered(runs: int) -> None:
    """Frames of every target before two cameras, of 960 x 720 and 480 x 360 px."""
    station = boards.station(960, 720)
    head("target", "camera", "by", "views found", "corner error px", "focal px", "centre px",
         "map px", "seen px")  # fmt: skip
    for name, target in boards.TARGETS.items():
        for sensor in ("left", "infrared"):
            true, found = station[sensor], {"mmdefect": [], "OpenCV": []}
            count, corners = 0, []
            for run in range(runs):
                rng = np.random.default_rng([run, len(name), len(sensor)])
                seen = {}
                for number, pose in enumerate(boards.placed(target, rng, 15)):
                    look = boards.Look(inverted=sensor == "infrared")
                    one = sight(boards.render(target, true, pose, rng, look), target)
                    if one is not None:
                        seen[f"{number:02d}"] = one
                        corners.append(corner_errors(one, true, pose, target))
                count += len(seen)
                if len(seen) < 5:
                    continue
                for who, camera, errors in both(seen, target, true):
                    found[who].append([*focal_centre(camera, true), *errors])
            error = float(np.median(np.concatenate(corners))) if corners else float("nan")
            for who, rows in found.items():
                if not rows:
                    row(name, sensor, who, f"{count}/{15 * runs}", error, *["too few"] * 4)
                    continue
                row(name, sensor, who, f"{count}/{15 * runs}", error, *spread_of(rows))


def corner_errors(one: Sighting, camera: Camera, pose: Pose, target: Target) -> np.ndarray:
    """Distances of points from the truth, px; of a grid that was called from its other end too."""
    radius = target.diameter / 2 * target.round
    state = boards.state_of(camera, pose)
    block = boards.Block(0, 0, target.points, np.zeros((len(target.points), 2)), radius)
    true, _ = boards.project(block, state)
    off = np.linalg.norm(one.pixels - true[one.numbers], axis=1)
    if target.turns:
        off = min(off, np.linalg.norm(one.pixels[::-1] - true, axis=1), key=np.median)
    return off


def focal_centre(camera: Camera, true: Camera) -> tuple[float, float]:
    """Errors of the focal length and the principal point, px."""
    focal = (abs(camera.fx - true.fx) + abs(camera.fy - true.fy)) / 2
    return focal, float(np.hypot(camera.cx - true.cx, camera.cy - true.cy))


def spread_of(rows: list) -> list[float]:
    """Medians of columns."""
    return [float(value) for value in np.median(np.array(rows), axis=0)]


def solver(runs: int) -> None:
    """Planted points with noise 0.05 px, three cameras and a projector."""
    names, rows, ratios = list(STATION), {}, {}
    for run in range(runs):
        rng = np.random.default_rng(run)
        poses = boards.placed(boards.CHARUCO, rng, 15)
        views = {n: boards.sightings(c, poses, rng) for n, c in STATION.items()}
        fit = calibrate_rig(views, boards.CHARUCO, reference="left")
        for name in names:
            true, found, off = STATION[name], fit.rig.cameras[name], fit.sensors[name].deviations
            pixels = np.concatenate([one.pixels for one in views[name].values()])
            alone = plain(views[name], boards.CHARUCO)
            shift = found.pose.translation - true.pose.translation
            turn = Rotation.from_matrix(found.pose.rotation @ true.pose.rotation.T).as_rotvec()
            rows.setdefault(name, []).append(
                [*focal_centre(found, true), *map_errors(found, true, pixels),
                 *focal_centre(alone, true), *map_errors(alone, true, pixels),
                 np.linalg.norm(shift), np.degrees(np.linalg.norm(turn))]
            )  # fmt: skip
            gaps = boards.truth(found) - boards.truth(true)
            known = np.flatnonzero(off[:4])
            ratios.setdefault("focal, centre", []).extend(gaps[known] / off[known])
            if name != "left":
                ratios.setdefault("turn", []).extend(turn / off[9:12])
                ratios.setdefault("shift", []).extend(shift / off[12:])
    head("sensor", "focal px", "centre px", "map px", "seen px", "OpenCV focal", "centre", "map",
         "seen", "pose mm", "pose °")  # fmt: skip
    for name in names:
        row(name, *spread_of(rows[name]))
    print()
    head("error over its standard deviation", "rms", "within 2", "within 3", "numbers")
    for what, found in ratios.items():
        z = np.abs(found)
        row(what, float(np.sqrt((z**2).mean())), f"{(z < 2).mean():.1%}", f"{(z < 3).mean():.1%}",
            len(z))  # fmt: skip


def wrong_views(views: dict, poses: list, kind: str, rng: np.random.Generator) -> set:
    """Plant one wrong view; give the outliers that ought to be named."""
    camera = "right"
    number = int(rng.integers(len(poses)))
    view = f"view{number:02d}"
    one = views[camera][view]
    if kind == "paired wrongly":
        other = f"view{(number + 4) % len(poses):02d}"
        views[camera][view], views[camera][other] = views[camera][other], one
        return {(camera, view), (camera, other)}
    if kind == "nudged by 0.7 mm":
        nudged = Pose(poses[number].rotation, poses[number].translation + np.array([0.7, 0, 0]))
        views[camera][view] = boards.sightings(STATION[camera], [nudged], rng)["view00"]
    elif kind == "other focus (1 %)":
        far = replace(STATION[camera], fx=1.01 * STATION[camera].fx, fy=1.01 * STATION[camera].fy)
        views[camera][view] = boards.sightings(far, [poses[number]], rng)["view00"]
    elif kind == "bent by 0.5 mm":
        target = boards.CHARUCO
        bow = 0.5 * (target.points[:, 0] / target.points[:, 0].max() * 2 - 1) ** 2
        points = target.points + np.stack([0 * bow, 0 * bow, bow], axis=1)
        pixels = STATION[camera].project(boards.onto(poses[number], points))[one.numbers]
        views[camera][view] = replace(one, pixels=pixels + rng.normal(0, 0.05, pixels.shape))
    return {(camera, view)}


def outliers(runs: int) -> None:
    """One wrong view of the right camera among fifteen."""
    head("planted", "named", "wrongly named", "pose error mm", "refused")
    for kind in ("nothing", "paired wrongly", "nudged by 0.7 mm", "other focus (1 %)",
                 "bent by 0.5 mm"):  # fmt: skip
        named, promised, false, errors, refused = 0, 0, 0, [], 0
        for run in range(runs):
            rng = np.random.default_rng([run, len(kind)])
            poses = boards.placed(boards.CHARUCO, rng, 15)
            views = {n: boards.sightings(STATION[n], poses, rng) for n in ("left", "right")}
            wrong = set() if kind == "nothing" else wrong_views(views, poses, kind, rng)
            try:
                fit = calibrate_rig(views, boards.CHARUCO)
            except CalibrationError:
                refused += 1
                continue
            told = {(o.camera, o.view) for o in fit.outliers}
            same = {view for _, view in wrong} if kind.startswith("nudged") else set()
            hit = {one for one in told if one in wrong or one[1] in same}
            named, promised = named + len(hit), promised + len(wrong)
            false += len(told - hit)
            true = STATION["right"].pose.translation
            errors.append(np.linalg.norm(fit.rig.cameras["right"].pose.translation - true))
        row(kind, f"{named}/{promised}", false, float(np.median(errors)), refused)


def projector(runs: int) -> None:
    """A projector through decoded stacks of a rendered target."""
    station = boards.station(960, 720)
    true, camera = station["projector"], station["left"]
    size = (true.width, true.height)
    code = Code("temporal", size, ("column", "row"), periods=(20.0, 140.0, 960.0), steps=4)
    head("target", "views", "place error px", "rms px", "focal px", "centre px", "map px",
         "seen px", "pose mm", "± mm", "pose °")  # fmt: skip
    for target in (boards.CHARUCO, boards.CHESSBOARD, boards.CIRCLES):
        for run in range(runs):
            rng = np.random.default_rng([run, 3])
            left, off, places = {}, [], {}
            poses = boards.placed(target, rng, 10, tilt=30, spread=40)
            for number, pose in enumerate(poses):
                frames = np.stack(list(boards.lit(target, camera, true, pose, rng, draw(code))))
                one, view = sight(frames[0], target), f"{number:02d}"
                if one is None:
                    continue
                decoded = decode_frames(code, frames)
                left[view], places[view] = one, np.stack([decoded.places[a] for a in code.axes])
                places[view][:, ~decoded.valid] = np.nan
            fit = calibrate_camera(left, target)
            lit = {}
            for view, pose in fit.poses.items():
                one = projector_sighting(
                    places[view], left[view], target, size[::-1], camera=fit.camera, pose=pose
                )
                if one is not None:
                    lit[view] = one
                    exact = true.project(boards.onto(poses[int(view)], target.points))
                    gaps = [one.pixels - exact[one.numbers], one.pixels - exact[::-1][one.numbers]]
                    off.append(min((np.linalg.norm(g, axis=1) for g in gaps), key=np.median))
            rig = calibrate_rig({"left": left, "projector": lit}, target)
            found, sensor = rig.rig.cameras["projector"], rig.sensors["projector"]
            pixels = np.concatenate([one.pixels for one in lit.values()])
            shift = np.linalg.norm(found.pose.translation - true.pose.translation)
            turn = Rotation.from_matrix(found.pose.rotation @ true.pose.rotation.T).magnitude()
            row(target.kind, len(sensor.errors), float(np.median(np.concatenate(off))), sensor.rms,
                *focal_centre(found, true), *map_errors(found, true, pixels), float(shift),
                float(np.linalg.norm(sensor.deviations[12:])), float(np.degrees(turn)))  # fmt: skip


def motion(runs: int) -> None:
    """A robot of 0.05 mm and 0.01°, holding the camera or the target; an encoder of 0.01°."""
    rig = Rig("station", "left", {name: STATION[name] for name in ("left", "right")})
    head("motion", "mount mm", "mount °", "within 3 σ", "wrong pose named", "wrongly named")
    for kind in ("camera-on-hand", "target-on-hand", "turntable"):
        rows, inside, named, false = [], [], 0, 0
        for run in range(runs):
            rng = np.random.default_rng([run, 9])
            seen, given, mount = moved(kind, rng)
            wrong = f"view{int(rng.integers(12)):02d}"
            if run % 2:
                jump = Pose(boards.turned(0, 0, 2.0), np.zeros(3)) if kind == "turntable" else Pose(
                    np.eye(3), np.array([4.0, 0, 0])
                )  # fmt: skip
                given[wrong] = chained(jump, given[wrong])
            views = {n: boards.sightings(c, seen, rng) for n, c in rig.cameras.items()}
            fit = calibrate_motion(rig, views, boards.CHARUCO, given, kind)
            told = {outlier.view for outlier in fit.outliers}
            named, false = named + (run % 2) * (wrong in told), false + len(told - {wrong})
            if kind == "turntable":
                way, true = fit.axis[1], mount.rotation[2]
                gap = np.linalg.norm(np.cross(fit.axis[0] - mount.centre, true))
                rows.append([gap, np.degrees(np.arcsin(np.linalg.norm(np.cross(way, true))))])
                inside.append(gap < 3 * np.linalg.norm(fit.deviations[3:5]))
            else:
                shift = fit.mount.translation - mount.translation
                turn = Rotation.from_matrix(fit.mount.rotation @ mount.rotation.T).magnitude()
                rows.append([np.linalg.norm(shift), np.degrees(turn)])
                inside.extend(np.abs(shift) < 3 * fit.deviations[3:6])
        row(kind, *spread_of(rows), f"{np.mean(inside):.1%}", f"{named}/{runs // 2}", false)


def moved(kind: str, rng: np.random.Generator) -> tuple[list[Pose], dict[str, Pose], Pose]:
    """Poses of the target, what the controller says, and the true mount."""
    if kind == "turntable":
        turn = boards.turned(120, 20, 0)
        mount = Pose(turn, -turn @ np.array([10.0, 30.0, 520.0]))
        still = Pose(boards.turned(8, 5, 20), np.array([-60.0, -50.0, 20.0]))
        angles = np.arange(12) * 30.0
        seen = [chained(inverse(mount), chained(turned(angle), still)) for angle in angles]
        given = [turned(angle + rng.normal(0, 0.01)) for angle in angles]
        return seen, {f"view{n:02d}": pose for n, pose in enumerate(given)}, mount
    seen = boards.placed(boards.CHARUCO, rng, 12)
    given = [chained(STILL, inverse(chained(MOUNT, pose))) for pose in seen]
    if kind == "target-on-hand":
        given = [inverse(pose) for pose in given]
    noisy = {}
    for number, pose in enumerate(given):
        turn = Rotation.from_rotvec(rng.normal(0, np.deg2rad(0.01), 3)).as_matrix()
        noisy[f"view{number:02d}"] = chained(Pose(turn, rng.normal(0, 0.05, 3)), pose)
    return seen, noisy, MOUNT


PARTS = {"rendered": rendered, "solver": solver, "outliers": outliers, "projector": projector}
PARTS["motion"] = motion


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--runs", type=int, default=3)
    told = parser.parse_args()
    PARTS[told.part](told.runs)
