"""Structured light against the truth: depth errors and masks on simulated parts.

    python benchmarks/structured_light_truth.py

A camera and a projector of the simulated station (f 1660 px, 500 mm, baseline 150 mm, both with
distorting lenses) photograph the simulator's products, with the projector's gamma 2.2, defocus,
ambient light and noise of 2 grey levels. Errors are those of depth along the camera's axis against
the ray that was cast through the pixel's middle; lit are the pixels whose middle sees the
projector, at 75° to the line of sight at most. Precision is the share of pixels called valid that
are lit; coverage that of lit ones called valid.
"""

import argparse

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


def row(name: str, scene: Scenery, depths: Depths) -> tuple[float, ...]:
    """Print a line of the table."""
    valid = depths.flags == 0
    both = valid & scene.lit
    error = np.abs(depths.depth - scene.depth)[both]
    told = (
        float(np.median(error)),
        float(np.quantile(error, 0.95)),
        100 * both.sum() / scene.lit.sum(),
        100 * both.sum() / valid.sum(),
    )
    print(
        f"{name:34s} median {told[0]:.4f} mm  95 % {told[1]:.4f} mm  "
        f"lit pixels measured {told[2]:.2f} %  precision {told[3]:.2f} %",
        flush=True,
    )
    return told


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
    totals: dict[str, list[tuple[float, ...]]] = {}
    for name, world in worlds(chosen.parts):
        scene = light_up(world, cameras["points"], cameras["projector"])
        size = cameras["projector"].width, cameras["projector"].height
        for number, label in enumerate(chosen.codes):
            code = complete(label, size, (chosen.period,), steps=chosen.steps)
            depths = measured(rig, (scene,), code, EXPOSURES, number)
            totals.setdefault(label, []).append(row(f"{name}, {label}", scene, depths))
        code = complete("gray", size, (chosen.period,), steps=chosen.steps)
        single = measured(rig, (scene,), code, EXPOSURES[1:2], 50)
        totals.setdefault("gray, one exposure", []).append(
            row(f"{name}, gray, one exposure", scene, single)
        )
        second = light_up(world, cameras["second"], cameras["projector"])
        both = complete("gray", size, (chosen.period,), steps=chosen.steps, axes=("column", "row"))
        depths = measured(rig, (scene, second), both, EXPOSURES, 60)
        totals.setdefault("gray, two cameras", []).append(
            row(f"{name}, gray, two cameras", scene, depths)
        )
    print("\nworst of all parts")
    for label, rows in totals.items():
        worst = np.array(rows)
        print(
            f"{label:34s} median {worst[:, 0].max():.4f} mm  95 % {worst[:, 1].max():.4f} mm  "
            f"lit pixels measured {worst[:, 2].min():.2f} %  precision {worst[:, 3].min():.2f} %"
        )


if __name__ == "__main__":
    main()
