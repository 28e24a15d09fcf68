"""What a projector, two cameras and a printed target would have given: the frames of docs/rigs.md.

    python docs/rigs_frames.py FOLDER PATTERNS

Photographs the patterns of ``PATTERNS`` (its ``stack.toml`` says which) on a simulated part, and a
target that is held before the cameras, both by rays, with blur and noise. Below ``FOLDER`` come
``true.toml``, the rig as it is; ``capture``, the frames of the patterns; ``target.toml`` and
``views``, and ``tuesday``, for which the second camera was bumped.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mmdefect.calibration import target_text
from mmdefect.registration import Camera, Pose, write_rig
from mmdefect.simulate import render_capture
from mmdefect.simulate.light.fringes import light_rig, light_up, photograph_stack
from mmdefect.simulate.tracer import World
from mmdefect.structured.stack import read_stack

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import boards

BUMP = 0.4
"""Degrees by which the second camera turned."""


def write_views(folder: Path, cameras: dict[str, Camera], count: int, seed: int) -> None:
    """Photograph the target, held still for each view."""
    rng = np.random.default_rng(seed)
    for number, pose in enumerate(boards.placed(boards.CHARUCO, rng, count)):
        for name, camera in cameras.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            frame = boards.render(boards.CHARUCO, camera, pose, rng)
            Image.fromarray(frame).save(folder / name / f"{number:02d}.png")


def main(folder: Path, patterns: Path) -> None:
    """Make everything."""
    rig = light_rig((480, 640))
    folder.mkdir(parents=True)
    write_rig(rig, folder / "true.toml")
    world = World(render_capture("bracket", index=0, size=48).part)
    scenery = light_up(world, rig.cameras["points"], rig.cameras["projector"])
    code = read_stack(patterns).code
    photograph_stack(folder / "capture", scenery, code, exposures=(0.4, 2.0, 10.0))
    (folder / "target.toml").write_text(target_text(boards.CHARUCO))
    seeing = {name: rig.cameras[name] for name in ("points", "second")}
    write_views(folder / "views", seeing, 14, 1)
    second = seeing["second"]
    turn = boards.turned(0, BUMP, 0)
    bumped = Pose(turn @ second.pose.rotation, turn @ second.pose.translation)
    write_views(folder / "tuesday", seeing | {"second": replace(second, pose=bumped)}, 4, 2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
