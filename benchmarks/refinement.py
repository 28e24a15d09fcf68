"""Planted warps between colour, infrared and X-ray frames of simulated parts, found again.

    python benchmarks/refinement.py --frames FILE.npz --seed 9001

Parts of all products are seen by the three sensors along one line of sight: a warp between frames
taken from different places of a part with relief does not exist, so there would be no truth. Each
sensor keeps its own number of pixels. One frame of each pair is warped (shift up to 6 px, growth,
shear and rotation up to 3 px at the rim, in every second case perspective up to 1 px), and asked
for again: from the two frames alone (``refine``), by captures of other parts whose registration is
known (``KnownPairs``), and so from several captures that share one warp. The error is the mean
displacement over the part, in pixels of the fixed frame. Frames are rendered once and kept in
FILE.npz.
"""

import argparse
import time
import zlib
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmdefect.alignment import Alignment, KnownPair, KnownPairs, Warp, refine, together
from mmdefect.alignment.edges import picture_of
from mmdefect.alignment.warps import MODELS, sampled
from mmdefect.registration import BrownConrady, Camera, Rig
from mmdefect.simulate.capture import (
    World,
    draw_hardware,
    draw_surroundings,
    expose_all,
    render_all,
)
from mmdefect.simulate.products import GOOD, PRODUCTS, kind_of
from mmdefect.simulate.station import station
from mmdefect.simulate.writing import shown_kinds

PAIRS = (("rgb", "infrared"), ("rgb", "xray"), ("infrared", "xray"))
SPANS = np.array([6, 6, 3, 3, 3, 3, 1, 1])
KNOWN = 10
FINE, GRAVE = 0.2, 1.0
PART = (slice(0.16, 0.84, 0.04), slice(0.12, 0.88, 0.04))
MODELS_ASKED = ("affine", "homography")
PART_LIES = "rigid"
TOGETHER = (5, 10)


def line_of_sight(size: int) -> Rig:
    """The station's colour camera without its lens, and the other sensors at its place."""
    rgb = replace(station(size).cameras["rgb"], lens=BrownConrady())

    def shared(side: int, through: bool = False) -> Camera:
        share = side / size
        centre = (rgb.cx + 0.5) * share - 0.5, (rgb.cy + 0.5) * share - 0.5
        return Camera(
            side, side, rgb.fx * share, rgb.fy * share, *centre, pose=rgb.pose, through=through
        )

    cameras = {"rgb": rgb, "infrared": shared(size * 3 // 4), "xray": shared(size * 6 // 5, True)}
    return Rig("one line of sight", "rgb", cameras, station(size).surface)


def render(seed: int, each: int, size: int) -> dict[str, np.ndarray]:
    """Frames by ``product|kind|number|sensor``; every third part is defective."""
    rig, found = line_of_sight(size), {}
    for product, made in PRODUCTS.items():
        kinds = shown_kinds(made)
        for number in range(each):
            kind = kinds[number // 3 % len(kinds)] if number % 3 == 2 else GOOD
            key = (seed, zlib.crc32(product.encode()), number)
            drawn, flaw, around, *noise = np.random.default_rng(key).spawn(7)
            plan = made.draw(drawn)
            defective = kind != GOOD
            part = kind_of(made, kind).plant(flaw, plan).part if defective else made.build(plan)
            sensors = ("rgb", "infrared", "xray")
            seen = render_all(World(part), rig, draw_surroundings(around), sensors)
            frames = expose_all(seen, rig, draw_hardware(rig, seed), noise)
            name = f"{product}|{kind}|{number}"
            found[f"{name}|rgb"] = frames["rgb"].astype(np.float32).mean(-1) / 65535
            found[f"{name}|infrared"] = frames["infrared"]
            found[f"{name}|xray"] = frames["xray"].astype(np.float32)
    return found


def planted(moving: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, Warp]:
    """A warped frame, and the warp from the frame's pixels to the warped one's."""
    warp = Warp.of(numbers, moving.shape)
    return sampled(picture_of(moving).values, warp, moving.shape), warp.inverse()


def part_pixels(size: tuple[int, int]) -> np.ndarray:
    """Pixels (pixel, 2) over the part, which fills the middle of the frame."""
    down, right = np.mgrid[PART]
    return np.stack([right * size[1], down * size[0]], -1).reshape(-1, 2)


class Frames:
    """The frames of a file; counts of X-ray become attenuation."""

    def __init__(self, path: Path, seed: int, each: int, size: int) -> None:
        if not path.exists():
            np.savez(path, **render(seed, each, size))
        self._held = np.load(path)
        self.names = list(dict.fromkeys(key.rsplit("|", 1)[0] for key in self._held.files))

    def frame(self, name: str, sensor: str) -> np.ndarray:
        values = self._held[f"{name}|{sensor}"].astype(np.float64)
        return -np.log(np.clip(values, 1, None)) if sensor == "xray" else values


class Cell:
    """All cases of one product and pair of sensors."""

    def __init__(self, frames: Frames, product: str, pair: tuple[str, str], known: int) -> None:
        names = [name for name in frames.names if name.startswith(product)]
        good = [name for name in names if f"|{GOOD}|" in name][:known]
        both = {name: [frames.frame(name, sensor) for sensor in pair] for name in names}
        self.truth = Warp.between(*(frame.shape for frame in both[names[0]]))
        pairs = [KnownPair(*both[name], self.truth) for name in good]
        self.known = {m: KnownPairs(pairs, model=m, part=PART_LIES) for m in MODELS_ASKED}
        self.cases = [both[name] for name in names if name not in good]
        self.size = self.cases[0][0].shape
        self.scale = self.size[0] / self.cases[0][1].shape[0]

    def measured(self, found: Alignment, away: Warp) -> tuple[float, bool, float]:
        """Error, whether it was accepted, and the error that was predicted."""
        error = found.warp.apart(away @ self.truth, part_pixels(self.size)).mean() * self.scale
        return error, found.trusted, found.trust.predicted

    def run(self, plants: int, every: int, rng: np.random.Generator, rows: dict) -> None:
        """Plant warps and find them; every part has the same ones, so that several can share."""
        here = [self.known[MODELS_ASKED[0]].fixed_on_known(fixed) for fixed, _ in self.cases]
        for number in range(plants):
            model = MODELS_ASKED[number % 2]
            numbers = rng.uniform(-1, 1, MODELS[model]) * SPANS[: MODELS[model]]
            known, found = self.known[model], []
            for index, (fixed, moving) in enumerate(self.cases):
                warped, away = planted(moving, numbers)
                begun = time.process_time()
                found.append(known.joined(here[index], known.moving_on_known(warped)))
                rows["seconds"].append(time.process_time() - begun)
                rows["known"].append(self.measured(found[-1], away))
                if every and (number + index) % every == 0:
                    rows["alone"].append(self.measured(refine(fixed, warped, model=model), away))
            for count in TOGETHER:
                for first in range(0, len(found) - count + 1, count):
                    joined = together(found[first : first + count], self.size)
                    rows[f"{count} together"].append(self.measured(joined, away))


def summary(cases: list[tuple[float, bool, float]]) -> str:
    """One line."""
    errors, trusted = (np.array(column) for column in list(zip(*cases, strict=True))[:2])
    fine = (errors <= FINE) & trusted
    told = np.quantile(errors, [0.5, 0.95])
    return (
        f"{len(errors):>5} cases: {fine.mean():6.1%} accepted within {FINE} px, "
        f"{(~trusted).sum():>3} refused, {(trusted & (errors > GRAVE)).sum():>3} accepted beyond "
        f"{GRAVE:g} px; error median {told[0]:.2f}, 95 % {told[1]:.2f} px"
    )


def main() -> None:
    """Measure."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--frames", type=Path, required=True)
    asked.add_argument("--seed", type=int, default=9001)
    asked.add_argument("--each", type=int, default=24, help="parts of a product")
    asked.add_argument("--size", type=int, default=192)
    asked.add_argument("--plants", type=int, default=8, help="warps a product and pair")
    asked.add_argument("--known", type=int, default=10, help="known captures")
    asked.add_argument("--alone", type=int, default=4, help="every which case; 0: none")
    asked.add_argument("--products", default=",".join(PRODUCTS))
    told = asked.parse_args()
    frames = Frames(told.frames, told.seed, told.each, told.size)
    every = defaultdict(list)
    for product in told.products.split(","):
        for pair in PAIRS:
            rng = np.random.default_rng((told.seed, zlib.crc32(f"{product}{pair}".encode())))
            rows = defaultdict(list)
            Cell(frames, product, pair, told.known).run(told.plants, told.alone, rng, rows)
            seconds = np.mean(rows.pop("seconds"))
            for way, cases in rows.items():
                print(f"{way:<11} {product:<8} {'-'.join(pair):<14} {summary(cases)}", flush=True)
                every[way] += cases
            print(f"{seconds:.2f} s of processor a capture", flush=True)
    for way, cases in every.items():
        print(f"{way:<11} all: {summary(cases)}")


if __name__ == "__main__":
    main()
