"""Thermal frames of cracked walls laid over colour, by the photograph that the thermal camera kept.

    python benchmarks/thermal_over_color.py ../shared/data/crack-rgbdt --out OVERLAYS

A radiometric FLIR file holds a photograph of the same moment; where its camera stands beside the
thermal one is in the file (as exiftool prints it: Real2IR, OffsetX, OffsetY). Colour and that
photograph show the same things in the same light, so features can be matched: SIFT by OpenCV,
searched near where the whole colour frame would lie on the whole thermal frame, ever closer, with
a homography by RANSAC. That is the truth which the alignment by thermal edges is held against,
from the usual start and from the truth itself. One picture a capture: colour, photograph, both in
turn, temperature, temperature over colour.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmdefect import Dataset
from mmdefect.alignment import Warp, refine
from mmdefect.flir import visible

REAL2IR, OFFSET = 1.24881851673126, (76, 8)
ROUNDS = ((45, 5.0), (20, 4.0), (10, 2.5), (6, 2.0))  # search (colour px), RANSAC's limit
CELLS = np.stack(np.meshgrid(np.arange(40, 361, 20), np.arange(40, 361, 20)), -1).reshape(-1, 2)


def photograph_from_thermal(thermal: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """The camera's own statement of where a thermal pixel lies on its photograph."""
    scale = photo.shape[1] / (thermal.shape[1] * REAL2IR)
    right, down = (photo.shape[1] - 1) / 2 + OFFSET[0], (photo.shape[0] - 1) / 2 + OFFSET[1]
    return np.array(
        [
            [scale, 0, right - scale * (thermal.shape[1] - 1) / 2],
            [0, scale, down - scale * (thermal.shape[0] - 1) / 2],
            [0, 0, 1],
        ]
    )


def described(picture: np.ndarray) -> tuple[np.ndarray, ...]:
    """Places, angles, sizes and RootSIFT descriptors."""
    gray = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), None, fx=2, fy=2,
                      interpolation=cv2.INTER_CUBIC)  # fmt: skip
    even = cv2.GaussianBlur(cv2.createCLAHE(6, (8, 8)).apply(gray), (0, 0), 2.0)
    keys, marks = cv2.SIFT_create(8000, contrastThreshold=0.008, edgeThreshold=20).detectAndCompute(
        even, None
    )
    told = np.array([(key.pt[0] / 2, key.pt[1] / 2, key.angle, key.size) for key in keys])
    return (
        told[:, :2],
        told[:, 2],
        told[:, 3],
        np.sqrt(marks / (marks.sum(1, keepdims=True) + 1e-6)),
    )


def matched(color: np.ndarray, photo: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Places of the same things, at most so far apart, each the other's best and a clear one."""
    (a, turn_a, size_a, marks_a), (b, turn_b, size_b, marks_b) = described(color), described(photo)
    near = np.abs(a[:, None] - b[None]).max(2) < reach
    near &= np.abs((turn_a[:, None] - turn_b[None] + 180) % 360 - 180) < 20
    near &= np.abs(np.log(size_a[:, None] / size_b[None])) < 0.5
    apart = np.where(near, np.sqrt(np.maximum(0, 2 - 2 * marks_a @ marks_b.T)), 9)
    best, every = apart.argmin(1), np.arange(len(apart))
    closest = np.partition(apart, 1, axis=1)
    kept = (closest[:, 0] < 0.75) & (closest[:, 0] < 0.92 * closest[:, 1])
    kept &= apart.argmin(0)[best] == every
    return a[kept].astype(np.float32), b[best[kept]].astype(np.float32)


def on_photograph(color: np.ndarray, photo: np.ndarray, warp: np.ndarray) -> tuple[np.ndarray, str]:
    """Refine where colour lies on the photograph; tell how well."""
    side, told = color.shape[:2], ""
    for reach, limit in ROUNDS:
        seen = cv2.warpPerspective(cv2.GaussianBlur(photo, (0, 0), 1.2), warp, side[::-1],
                                   flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)  # fmt: skip
        here, there = matched(color, seen, reach)
        step, inside = cv2.findHomography(here, there, cv2.RANSAC, limit, maxIters=20000)
        inside = inside.ravel() > 0
        rest = cv2.perspectiveTransform(here[None, inside], step)[0] - there[inside]
        told = (f"{inside.sum()} of {len(here)} matches within {limit} px, "
                f"rms {np.sqrt((rest**2).sum(1).mean()):.2f} colour px")  # fmt: skip
        warp = warp @ step
    return warp / warp[2, 2], told


def places(warp: np.ndarray) -> np.ndarray:
    """Where cells of the colour frame lie."""
    return cv2.perspectiveTransform(CELLS[None].astype(np.float64), np.asarray(warp, float))[0]


def overlay(color, photo, thermal, photo_warp, thermal_warp, path: Path) -> None:
    """Write the picture."""
    rows, columns = color.shape[:2]
    onto = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP}
    bright = [np.clip(one / np.percentile(one, 98) * 230, 0, 255).astype(np.uint8) for one in
              (color.astype(float), cv2.warpPerspective(photo, photo_warp, (columns, rows), **onto)
               .astype(float))]  # fmt: skip
    low, high = np.nanpercentile(thermal, [1, 99])
    level = np.clip((thermal - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    warm = cv2.warpPerspective(level, thermal_warp, (columns, rows), **onto)
    y, x = np.mgrid[:rows, :columns]
    turns = np.where((((y // 50) + (x // 50)) % 2 == 1)[..., None], bright[1], bright[0])
    over = bright[0] * 0.5
    over[..., 0] += 0.5 * warm
    gray = np.repeat(warm[..., None], 3, axis=2)
    Image.fromarray(np.hstack([*bright, turns, gray, over.astype(np.uint8)])).save(path)


def main() -> None:
    """Lay every capture over that has a radiometric file."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("root", type=Path)
    asked.add_argument("--out", type=Path, required=True)
    told = asked.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    dataset = Dataset("crack_rgbdt", told.root)
    for capture in dataset.captures(dataset.categories[0]):
        number = int(capture.id.rsplit("/", 1)[-1])
        radiometric = told.root / "flir-radiometric" / f"heat_{number}.jpg"
        if not radiometric.exists():
            continue
        frames = dataset.frames(capture, ["rgb", "infrared"])
        values = np.moveaxis(frames["rgb"].values, 0, -1)
        color = np.clip(values * 255, 0, 255).astype(np.uint8)
        thermal, photo = frames["infrared"].values, visible(radiometric)
        onto_photo = photograph_from_thermal(thermal, photo)
        whole = Warp.between(color.shape[:2], thermal.shape).matrix
        found, words = on_photograph(color, photo, onto_photo @ whole)
        true = np.linalg.inv(onto_photo) @ found
        true /= true[2, 2]
        off = np.linalg.norm(places(whole) - places(true), axis=1)
        print(
            f"{number}: {words}; whole frame on whole frame is off by {off.mean():.0f} thermal px"
        )
        for name, start in (("the usual start", whole), ("the truth", true)):
            edges = refine(values.mean(-1), thermal, start=Warp(start), reach=0.1)
            off = np.linalg.norm(places(edges.warp.matrix) - places(true), axis=1)
            verdict = "accepted" if edges.trusted else f"refused, {edges.trust.refusal}"
            print(f"   by edges from {name}: off by {off.mean():.0f} px, {verdict}", flush=True)
        overlay(color, photo, thermal, found, true, told.out / f"{number:03d}.png")


if __name__ == "__main__":
    main()
