"""How well single pixels tell a void, before and after the part's shape is taken off.

    OMP_NUM_THREADS=1 python benchmarks/radiography.py

Milled aluminium brackets of the simulated station, each with one hollow of 1 to 2.4 mm at another
place, with its fixture's play of pose, tolerances, noise, scatter, focal spot, a panel of uneven
and dead pixels and a drifting tube. Scored are the pixels behind more than 1 mm of the part; void
pixels are those whose beam runs through more than 0.2 mm of the void. AUROC per part, its mean over
the parts; the threshold-free number of a single pixel, no smoothing.

``limit`` takes off what the same part without a void gives without noise: what noise alone leaves.
``place known`` has the CAD where the part stands, ``nominal`` where it should stand.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import xarray as xr
from sklearn.metrics import roc_auc_score

from mmdefect.radiography.absorption import attenuation, repaired
from mmdefect.radiography.expected import expected_attenuation
from mmdefect.radiography.normalise import behind, front_points
from mmdefect.radiography.pose import find_pose
from mmdefect.radiography.solid import Solid
from mmdefect.registration import Plane, Pose
from mmdefect.simulate.body import Part
from mmdefect.simulate.bracket.plan import THICKNESS_MM
from mmdefect.simulate.capture import Capture, draw_hardware
from mmdefect.simulate.specimen import render_capture
from mmdefect.simulate.station import DISTANCE_MM
from mmdefect.simulate.tracer import World
from mmdefect.simulate.xray.radiograph import dark_frame, flat_frame

NOMINAL = Pose(np.eye(3), np.array([0.0, 0.0, DISTANCE_MM]))


def solids(part: Part) -> dict[str, Solid]:
    """The CAD of a part, one solid a metal, without its flaws and its fixture."""
    made = {}
    for metal in ("aluminium", "steel"):
        bodies = [body for body in part.bodies if body.material == metal]
        starts = np.cumsum([0, *(len(body.vertices) for body in bodies)])
        corners = np.concatenate([part.to_rig(body.vertices) for body in bodies])
        faces = [b.triangles + np.uint32(s) for b, s in zip(bodies, starts, strict=False)]
        made[metal] = Solid(corners, np.concatenate(faces))
    return made


def transmission(capture: Capture, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Transmission by flat and dark, dead pixels mended; and which were dead."""
    detector = draw_hardware(capture.rig, seed).detector
    rng = np.random.default_rng(seed)
    flat, dark = (frame(detector, rng).astype(float) for frame in (flat_frame, dark_frame))
    span = flat - dark
    span[span < 0.01 * np.median(span)] = np.nan
    through = (capture.frames["xray"] - dark) / span
    dead = ~np.isfinite(through)
    return repaired(through, dead), dead


def void_lengths(capture: Capture) -> np.ndarray:
    """How far each pixel's beam runs in the void (y, x), mm."""
    camera = capture.rig.cameras["xray"]
    weights = [[float(body.name == "void")] for body in capture.part.bodies]
    rays = camera.directions().reshape(-1, 3)
    found = World(capture.part).weighted_paths(camera.centre, rays, weights)
    return found[:, 0].reshape(camera.height, camera.width)


def pictures(
    capture: Capture, seed: int, index: int, size: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Give every way's picture, in which a void is dark, and its name."""
    camera = capture.rig.cameras["xray"]
    through, _ = transmission(capture, seed)
    seen = attenuation(through)
    yield "transmission", -through
    twin = render_capture("bracket", "good", seed=seed, index=index, size=size, sensors=("xray",))
    yield "limit", seen - attenuation(twin.renderings["xray"].signal)
    known = [solid.lengths(camera) for solid in solids(capture.part).values()]
    for name, blur in (("place known, no blur", 0.0), ("place known, blur found", None)):
        yield name, seen - expected_attenuation(seen, known, blur).attenuation
    cad = solids(replace(capture.part, pose=NOMINAL))
    for name, pose in (
        ("nominal", Pose()),
        ("place found (align)", find_pose(seen, list(cad.values()), camera)),
    ):
        moved = [solid.lengths(camera, pose) for solid in cad.values()]
        yield name, seen - expected_attenuation(seen, moved).attenuation
    cloud = xr.DataArray(
        np.moveaxis(capture.frames["points"], -1, 0),
        dims=("axis", "y", "x"),
        attrs={"modality": "points", "units": "mm"},
    )
    back = Plane(np.array([0.0, 0.0, DISTANCE_MM + THICKNESS_MM]), np.array([0.0, 0.0, -1.0]))
    front = front_points(cloud, capture.rig.cameras["points"], camera)
    way = behind(front, camera, back)
    yield "scanner's surface", seen - expected_attenuation(seen, [way]).attenuation


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", type=int, default=12)
    parser.add_argument("--size", type=int, default=256, help="of the station, px")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    scores: dict[str, list[float]] = {}
    for index in range(asked.parts):
        capture = render_capture(
            "bracket", "void", seed=asked.seed, index=index, size=asked.size,
            sensors=("points", "xray"),
        )  # fmt: skip
        truth = void_lengths(capture) > 0.2
        metal = sum(s.lengths(capture.rig.cameras["xray"]) for s in solids(capture.part).values())
        for name, picture in pictures(capture, asked.seed, index, asked.size):
            told = (np.nan_to_num(metal) > 1) & np.isfinite(picture)
            share = float(told[truth].mean())
            score = roc_auc_score(truth[told], -picture[told]) if share > 0.5 else np.nan
            scores.setdefault(name, []).append(score)
    print(f"{asked.parts} brackets with a void, {asked.size} px, seed {asked.seed}")
    for name, found in scores.items():
        known = np.array(found)[np.isfinite(found)]
        spread = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else np.nan
        print(f"{name:26s} pixel AUROC {known.mean():.3f} ± {spread:.3f} (parts {len(known)})")


if __name__ == "__main__":
    main()
