"""Seconds to decode and triangulate 50 frames of 1280 x 720 pixels, once they are in memory.

    OMP_NUM_THREADS=2 python benchmarks/structured_light.py

A plane at 500 mm is seen by a camera and a projector that distort (f 1660 px, baseline 150 mm),
with noise of 2 grey levels. Rounds of all codes alternate; printed are the medians of the clock
and of processor time, that of all threads together: half of it is what two idle cores take, and
it tells more than the clock where others use the machine too. Loops are compiled, rays and
tables worked out before. At the end the memory that a streamed stack takes is measured.
"""

import argparse
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from PIL import Image

from mmdefect.jit import threads
from mmdefect.registration import BrownConrady, Camera, Pose
from mmdefect.structured.codes import Code, complete
from mmdefect.structured.decode import decode_files, decode_frames
from mmdefect.structured.patterns import lines
from mmdefect.structured.stack import write_stack
from mmdefect.structured.triangulate import Sight, triangulate

SIZE = (1280, 720)
STEPS = {"gray": 32, "temporal": 16, "heterodyne": 16, "number": 16}


def cameras() -> tuple[Camera, Camera]:
    """The camera and the projector."""
    turn = np.arctan2(150.0, 500.0)
    c, s = np.cos(-turn), np.sin(-turn)
    rotation = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]).T
    pose = Pose(rotation, -rotation @ np.array([150.0, 0, 0]))
    columns, rows = SIZE
    eye = Camera(rows, columns, 1660.0, 1660.0, 640.0, 360.0, BrownConrady(-0.08, 0.03, 3e-4))
    light = Camera(800, 1280, 1500.0, 1500.0, 640.0, 400.0, BrownConrady(-0.05, 0.02), pose)
    return eye, light


def recorded(code: Code, eye: Camera, light: Camera) -> np.ndarray:
    """The frames of a plane at 500 mm."""
    rng = np.random.default_rng(0)
    rays = eye.directions()
    column = light.project(rays * (500 / rays[..., 2:]))[..., 0]
    frames = np.empty((len(code), eye.height, eye.width), np.uint8)
    for group in code.groups():
        for number, line in enumerate(lines(code, group)):
            shown = np.interp(column, np.arange(len(line)), line)
            counts = 20 + 180 * shown + rng.normal(0, 2, column.shape)
            frames[group.first + number] = np.clip(np.rint(counts), 0, 255)
    return frames


def streamed(code: Code, frames: np.ndarray) -> tuple[float, float]:
    """MiB that Python and NumPy take at most, of a stack read from files; MiB of its frames."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{number:03d}.png" for number in range(len(frames))]
        for name, frame in zip(names, frames, strict=True):
            Image.fromarray(frame).save(Path(folder) / name, compress_level=1)
        stack = write_stack(folder, code, [names])
        tracemalloc.start()
        decode_files(stack)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak / 2**20, frames.nbytes / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    eye, light = cameras()
    sight = Sight(eye)
    stacks = {}
    for name, steps in STEPS.items():
        code = complete(name, (1280, 800), (18.0,), steps=steps)
        stacks[name] = code, recorded(code, eye, light)
    clock: dict[str, list[float]] = {name: [] for name in stacks}
    spent: dict[str, list[float]] = {name: [] for name in stacks}
    for _ in range(rounds + 1):
        for name, (code, frames) in stacks.items():
            start, used = time.perf_counter(), time.process_time()
            depths = triangulate(decode_frames(code, frames), sight, light)
            clock[name].append(time.perf_counter() - start)
            spent[name].append(time.process_time() - used)
            error = np.abs(depths.depth[depths.flags == 0] - 500)
            assert np.median(error) < 0.1
    print(f"{threads()} threads, {SIZE[0]} x {SIZE[1]}, medians of {rounds} rounds")
    for name, (code, _) in stacks.items():
        print(
            f"{name:12s} {len(code)} frames  clock {statistics.median(clock[name][1:]):.3f} s  "
            f"least {min(clock[name][1:]):.3f} s  "
            f"processor {statistics.median(spent[name][1:]):.3f} s"
        )
    code, frames = stacks["gray"]
    peak, whole = streamed(code, frames)
    print(f"streamed: {peak:.0f} MiB at most, for {whole:.0f} MiB of frames")


if __name__ == "__main__":
    main()
