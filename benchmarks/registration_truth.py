"""How far registration is from the truth that open3d and OpenCV know: position and occlusion.

    python benchmarks/registration_truth.py --captures 20 --size 256 --noise 0.04
    python benchmarks/registration_truth.py --captures 210 --simulated

The first measures planted scenes, the second captures of the simulated station, every product and
kind in turn.

Nothing here uses the product's own cameras but their plain numbers: rays are undistorted and
points projected by OpenCV (the division model by HALCON's own formula), surfaces met by open3d's
ray caster. Every sensor gets a frame that holds its own column and row; what registration returns
then tells where it sampled. ``measure`` takes any ray caster and rig, so other scenes than the
planted ones are measured by the same code.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import open3d as o3d
import xarray as xr
from scipy import ndimage

from mmdefect.registration import Camera, Division, Rig
from mmdefect.registration.placing import Registration

sys.path.insert(0, str(Path(__file__).parent))
import planted

BAND = 1.5
STEEPEST = np.tan(np.deg2rad(75))
BEHIND = 0.02


def _matrix(camera: Camera) -> np.ndarray:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])


def normalised(camera: Camera, pixels: np.ndarray) -> np.ndarray:
    """Normalised coordinates (…, 2) behind pixels (…, 2), by OpenCV or HALCON's formula."""
    flat = pixels.reshape(-1, 1, 2).astype(np.float64)
    if isinstance(camera.lens, Division):
        bent = (flat - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
        straight = bent / (1 + camera.lens.kappa * (bent**2).sum(-1, keepdims=True))
    else:
        lens = camera.lens
        coefficients = np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
        undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)  # one in OpenCV 5
        straight = undistort(
            flat, _matrix(camera), coefficients, R=np.eye(3), P=np.eye(3), criteria=stop
        )
    return straight.reshape(*pixels.shape[:-1], 2)


def projected(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Pixels (…, 2) of points (…, 3) in the rig's frame, by OpenCV or HALCON's formula."""
    flat = np.nan_to_num(points.reshape(-1, 3).astype(np.float64), nan=1e3)
    if isinstance(camera.lens, Division):
        own = flat @ camera.pose.rotation.T + camera.pose.translation
        straight = own[:, :2] / own[:, 2:]
        square = (straight**2).sum(-1, keepdims=True)
        bent = 2 * straight / (1 + np.sqrt(1 - 4 * camera.lens.kappa * square))
        found = bent * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    else:
        lens = camera.lens
        coefficients = np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])
        turn = cv2.Rodrigues(camera.pose.rotation)[0]
        found, _ = cv2.projectPoints(
            flat, turn, camera.pose.translation, _matrix(camera), coefficients
        )
    found = found.reshape(*points.shape[:-1], 2)
    return np.where(np.isfinite(points).all(-1, keepdims=True), found, np.nan)


def cast(caster, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (y, x, 3) that a camera sees, its centre, and the surface's normals there."""
    rows, columns = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    straight = normalised(camera, np.stack([columns, rows], -1))
    rays = np.concatenate([straight, np.ones_like(straight[..., :1])], -1) @ camera.pose.rotation
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    centre = -camera.pose.rotation.T @ camera.pose.translation
    lines = np.concatenate([np.broadcast_to(centre, rays.shape), rays], -1).astype(np.float32)
    met = caster.cast_rays(o3d.core.Tensor(lines))
    distance = met["t_hit"].numpy().astype(np.float64)
    distance[~np.isfinite(distance)] = np.nan
    return centre + rays * distance[..., None], centre, met["primitive_normals"].numpy()


@dataclass(frozen=True)
class Truth:
    """What a sensor truly sees of the reference's pixels.

    ``points`` (y, x, 3) in the rig's frame, mm; ``pixels`` (y, x, 2) column and row on the
    sensor; ``visible`` and ``inside`` (y, x); ``pixel`` (y, x) one sensor pixel in reference
    pixels; ``edge`` (y, x) true depth edges of the reference's view.
    """

    points: np.ndarray
    pixels: np.ndarray
    visible: np.ndarray
    inside: np.ndarray
    pixel: np.ndarray
    edge: np.ndarray


def truth(caster, rig: Rig, sensor: str) -> Truth:
    """Tell what a sensor truly sees, from a ray caster and the rig's plain numbers."""
    reference, camera = rig.cameras[rig.reference], rig.cameras[sensor]
    points, _, _ = cast(caster, reference)
    pixels = projected(camera, points)
    centre = -camera.pose.rotation.T @ camera.pose.translation
    away = points - centre
    distance = np.linalg.norm(away, axis=-1)
    lines = np.concatenate([np.broadcast_to(centre, away.shape), away / distance[..., None]], -1)
    hit = caster.cast_rays(o3d.core.Tensor(np.nan_to_num(lines).astype(np.float32)))
    visible = camera.through | (hit["t_hit"].numpy() >= distance - BEHIND)
    last = [camera.width - 1, camera.height - 1]
    inside = ((pixels >= 0) & (pixels <= last)).all(-1)
    depth = (points @ reference.pose.rotation.T + reference.pose.translation)[..., 2]
    away = (points @ camera.pose.rotation.T + camera.pose.translation)[..., 2]
    pixel = away / camera.fx / (depth / reference.fx)
    return Truth(points, pixels, visible & inside, inside, pixel, _edges(depth, reference.fx))


def _edges(depth: np.ndarray, focal: float) -> np.ndarray:
    """Pixels beside a true depth step."""
    most = STEEPEST * depth / focal
    known = np.nan_to_num(depth, nan=1e6)
    spread = ndimage.maximum_filter(known, 3) - ndimage.minimum_filter(known, 3)
    return spread > np.nan_to_num(most) * 2


def _near(mask: np.ndarray) -> np.ndarray:
    """Pixels within the band of a mask."""
    return ndimage.distance_transform_edt(~mask) <= BAND if mask.any() else mask


def _position_frame(camera: Camera) -> xr.DataArray:
    """A frame whose pixels hold their own column and row."""
    rows, columns = np.mgrid[: camera.height, : camera.width].astype(np.float32)
    attrs = {"modality": "xray", "units": "relative"}
    return xr.DataArray(np.stack([columns, rows]), dims=("energy", "y", "x"), attrs=attrs)


@dataclass(frozen=True)
class Found:
    """One capture and sensor: errors in reference px, and counts of occlusion."""

    errors: np.ndarray
    called: int
    rightly: int
    hidden: int
    wrong_in_band: int
    coverage: float


def measure(caster, rig: Rig, scanner: xr.DataArray, sensors: list[str]) -> dict[str, Found]:
    """Compare the registration of one capture with the truth.

    ``scanner`` is the frame of the rig's sensor ``points``.
    """
    found = {}
    frames = {name: _position_frame(rig.cameras[name]) for name in sensors}
    placed = Registration(rig).place({"points": scanner, **frames}).frames
    open_rig = Rig(
        rig.name,
        rig.reference,
        {n: Camera(**{**vars(c), "through": True}) for n, c in rig.cameras.items()},
        rig.surface,
    )
    unhidden = Registration(open_rig).place({"points": scanner, **frames}).frames
    for name in sensors:
        true = truth(caster, rig, name)
        at = np.moveaxis(placed[name].values, 0, -1)
        told, known = np.isfinite(at).all(-1), np.isfinite(unhidden[name].values).all(0)
        shadow = true.visible ^ ndimage.binary_erosion(true.visible, border_value=1)
        away = ~_near(true.edge) & ~_near(shadow | true.edge)
        asked = known & true.inside & away
        called, hidden = asked & ~told, asked & ~true.visible
        errors = np.linalg.norm(at - true.pixels, axis=-1) * true.pixel
        found[name] = Found(
            errors[told & true.visible],
            int(called.sum()),
            int((called & hidden).sum()),
            int(hidden.sum()),
            int((known & true.inside & ~away & (told != true.visible)).sum()),
            float(told.mean()),
        )
    return found


def main() -> None:
    """Measure planted captures."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--captures", type=int, default=20)
    asked.add_argument("--size", type=int, default=256)
    asked.add_argument("--noise", type=float, default=0.04)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--simulated", action="store_true")
    told = asked.parse_args()
    if told.simulated:
        measure_simulated(told.captures, told.size, told.seed)
        return
    print(f"{told.captures} captures, {told.size} px, noise {told.noise} mm, seed {told.seed}")
    for reference, sensors in (
        ("rgb", ["infrared", "xray"]),
        ("points", ["rgb", "infrared", "xray"]),
    ):
        rig = planted.make_rig(told.size, reference)
        rows: dict[str, list[Found]] = {name: [] for name in sensors}
        for number in range(told.captures):
            rng = np.random.default_rng([told.seed, number])
            caster = planted.make_caster(rng)
            cloud = planted.scan(caster, rig, rng, told.noise, cast).frame
            for name, found in measure(caster, rig, cloud, sensors).items():
                rows[name].append(found)
        for name, founds in rows.items():
            print(f"reference {reference:<7} sensor {name:<9} {summary(founds)}")


def caster_of(part) -> o3d.t.geometry.RaycastingScene:
    """A ray caster over the solids of a simulated part."""
    caster = o3d.t.geometry.RaycastingScene()
    for body in part.bodies:
        vertices = part.to_rig(body.vertices)
        caster.add_triangles(vertices, np.ascontiguousarray(body.triangles[:, [0, 2, 1]]))
    return caster


def measure_simulated(captures: int, size: int, seed: int) -> None:
    """Measure captures of the simulated station."""
    from mmdefect.simulate import GOOD, PRODUCTS, render_capture

    turns = [(name, kind) for name, made in PRODUCTS.items() for kind in (GOOD, *made.kinds)]
    rows: dict[tuple[str, str], list[Found]] = {}
    for number in range(captures):
        product, kind = turns[number % len(turns)]
        capture = render_capture(
            product, kind, seed=seed, index=number, size=size, sensors=("points",)
        )
        attrs = {"modality": "points", "units": "mm"}
        points = np.moveaxis(capture.frames["points"], -1, 0)
        cloud = xr.DataArray(points, dims=("axis", "y", "x"), attrs=attrs)
        sensors = ["infrared", "xray"]
        for name, found in measure(caster_of(capture.part), capture.rig, cloud, sensors).items():
            rows.setdefault((product, name), []).append(found)
            rows.setdefault(("all", name), []).append(found)
    print(f"{captures} captures of the simulated station, {size} px, seed {seed}, reference rgb")
    for (product, name), founds in sorted(rows.items()):
        print(f"{product:<8} {len(founds):>3} captures, sensor {name:<9} {summary(founds)}")


def summary(founds: list[Found]) -> str:
    """One line on one sensor's captures."""
    errors = np.concatenate([found.errors for found in founds])
    called, rightly, hidden = (
        sum(getattr(f, key) for f in founds) for key in ("called", "rightly", "hidden")
    )
    median, most = np.percentile(errors, [50, 95])
    coverage = np.mean([found.coverage for found in founds])
    text = f"error median {median:.3f} px, 95 % {most:.3f} px, covers {coverage:.1%}"
    if hidden:
        wrong = np.mean([found.wrong_in_band for found in founds])
        text += f"; occlusion precision {rightly / max(called, 1):.2%}"
        text += f", recall {rightly / hidden:.2%}, {wrong:.0f} px wrong in the band left out"
    return text


if __name__ == "__main__":
    main()
