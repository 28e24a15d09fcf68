"""Structured light against the truth: depth errors and masks on simulated parts.

    python benchmarks/structured_light_truth.py

A camera and a projector of the simulated station (f 1660 px, 500 mm, baseline 150 mm, both with
distorting lenses) photograph the simulator's products, with the projector's gamma 2.2, defocus,
ambient light and noise of 2 grey levels. Errors are those of depth along the camera's axis against
the ray that was cast through the pixel's middle. Lit are the pixels whose middle sees the
projector, at 75° to either line of sight at most. Precision is the share of pixels called valid
whose middle sees the projector. The fixture around a part is easy; so all is told twice, of all
pixels and of those on the part.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from mmdefect.registration import Rig
from mmdefect.simulate.light.fringes import (
    Projection,
    Scenery,
    light_rig,
    light_up,
    photograph,
)
from mmdefect.simulate.tracer import World
from mmdefect.structured.codes import Code, complete
from mmdefect.structured.decode import Limits, decode_frames
from mmdefect.structured.stereo import match
from mmdefect.structured.triangulate import Depths, Sight, triangulate

CODES = ("gray", "temporal", "heterodyne", "number")
EXPOSURES = (0.4, 2.0, 10.0)


def worlds(count: int) -> list[tuple[str, World]]:
    """Parts of every product."""
    from mmdefect.simulate import PRODUCTS, render_capture

    return [
        (f"{name} {index}", World(render_capture(name, index=index, size=48).part))
        for name in PRODUCTS
        for index in range(count)
    ]


def captured(scene: Scenery, code: Code, exposures: tuple[float, ...], seed: int) -> list:
    """The frames of every exposure."""
    rng = np.random.default_rng(seed)
    return [np.stack(list(photograph(scene, code, Projection(), e, rng))) for e in exposures]


def measured(
    rig: Rig, scenes: tuple[Scenery, ...], code: Code, exposures: tuple[float, ...], seed: int
) -> Depths:
    """Depths by the projector, or by two cameras where there are two sceneries."""
    limits, sight = Limits(), Sight(rig.cameras["points"])
    seen = [decode_frames(code, captured(s, code, exposures, seed + i), limits)
            for i, s in enumerate(scenes)]  # fmt: skip
    if len(seen) == 1:
        return triangulate(seen[0], sight, rig.cameras["projector"], limits)
    return match((seen[0], seen[1]), sight, rig.cameras["second"], limits, near=400, far=600)


def row(name: str, scene: Scenery, depths: Depths, among: np.ndarray) -> tuple[float, ...]:
    """Print a line of the table."""
    valid = (depths.flags == 0) & among
    both, lit = valid & scene.lit, scene.lit & among
    error = np.abs(depths.depth - scene.depth)[both]
    told = (
        float(np.median(error)),
        float(np.quantile(error, 0.95)),
        100 * both.sum() / lit.sum(),
        100 * (valid & scene.reached).sum() / valid.sum(),
    )
    print(line(name, told), flush=True)
    return told


def line(name: str, told: Sequence[float]) -> str:
    return (
        f"{name:40s} median {told[0]:.4f} mm  95 % {told[1]:.4f} mm  "
        f"lit pixels measured {told[2]:.2f} %  precision {told[3]:.2f} %"
    )


Totals = dict[str, list[tuple[float, ...]]]


def both_rows(name: str, label: str, scene: Scenery, depths: Depths, totals: Totals) -> None:
    """Print and keep what is true of all pixels, and of those on the part."""
    everything = np.ones_like(scene.part)
    for where, among in (("", everything), (", on the part", scene.part)):
        told = row(f"{name}, {label}{where}", scene, depths, among)
        totals.setdefault(label + where, []).append(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", type=int, default=1, help="of each product")
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), help="rows, columns")
    parser.add_argument("--period", type=float, default=18.0)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--codes", nargs="+", default=CODES)
    chosen = parser.parse_args()
    rig = light_rig(tuple(chosen.size))
    cameras = rig.cameras
    size = cameras["projector"].width, cameras["projector"].height
    options = {"steps": chosen.steps}
    totals: Totals = {}
    for name, world in worlds(chosen.parts):
        scene = light_up(world, cameras["points"], cameras["projector"])
        for number, label in enumerate(chosen.codes):
            code = complete(label, size, (chosen.period,), **options)
            depths = measured(rig, (scene,), code, EXPOSURES, number)
            both_rows(name, label, scene, depths, totals)
        code = complete("gray", size, (chosen.period,), **options)
        depths = measured(rig, (scene,), code, EXPOSURES[1:2], 50)
        both_rows(name, "gray, one exposure", scene, depths, totals)
        second = light_up(world, cameras["second"], cameras["projector"])
        code = complete("gray", size, (chosen.period,), axes=("column", "row"), **options)
        depths = measured(rig, (scene, second), code, EXPOSURES, 60)
        both_rows(name, "gray, two cameras", scene, depths, totals)
    print("\nworst of all parts")
    for label, rows in totals.items():
        signs = np.array([1, 1, -1, -1])
        print(line(label, signs * (signs * np.array(rows)).max(axis=0)))


if __name__ == "__main__":
    main()
