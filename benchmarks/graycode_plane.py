"""A real capture of a plane by two cameras: how flat is it, and what limits that?

    python benchmarks/graycode_plane.py

Reads ../shared/data/graycode-plane (or --folder): 720 x 1280 pixels, Gray code and inverse along
both axes, rectified cameras. The projector is not calibrated; the two cameras see its light. Its
finest stripes are narrower than the cameras resolve, so only the coarser ones are read: of the
columns once ten and once nine, and per pixel the reading is kept whose depth the camera's noise
(1.05 counts in the lit part, measured; 1.5 are allowed for) disturbs less. Nothing is smoothed; the
second camera is interpolated between two neighbouring pixels of a row. The plane is fitted to every
pixel that is kept, none is trimmed.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from mmdefect.images import read_image
from mmdefect.registration import Camera, Pose
from mmdefect.structured.codes import Code
from mmdefect.structured.decode import Decoded, Limits, decode_files
from mmdefect.structured.stack import Stack
from mmdefect.structured.stereo import match
from mmdefect.structured.triangulate import Depths, Sight

FOLDER = Path(__file__).resolve().parents[2] / "shared/data/graycode-plane"
FOCAL, CENTRE, BASELINE = 640.07, (642.22, 355.13), 49.97
FIRST = {"column": 1, "row": 27}
NOISE = 1.5 / 255
AUTHORS = 241_960


def eyes() -> tuple[Camera, Camera]:
    """The left and the right camera."""
    left = Camera(720, 1280, FOCAL, FOCAL, *CENTRE)
    return left, replace(left, pose=Pose(np.eye(3), np.array([-BASELINE, 0.0, 0.0])))


def stack_of(folder: Path, side: str, bits: dict[str, int]) -> Stack:
    """The frames of one camera as far as `bits` stripes of every axis."""
    size = 1 << bits["column"], 1 << bits["row"]
    code = Code("gray", size, ("column", "row"), (), references=False)
    numbers = [FIRST[axis] + place for axis in code.axes for place in range(2 * bits[axis])]
    names = tuple(f"{number:02d}-{side}.png" for number in numbers)
    return Stack(folder / "captures", code, (names,))


def decoded(folder: Path, columns: int, rows: int = 7) -> list[Decoded]:
    """What both cameras saw."""
    limits = Limits(snr=3, noise=NOISE, sure=0.05 if columns < 10 else 0.0)
    bits = {"column": columns, "row": rows}
    return [decode_files(stack_of(folder, side, bits), limits) for side in ("left", "right")]


def measured(folder: Path) -> Depths:
    """Depths from the reading that noise disturbs less."""
    left, right = eyes()
    coarse, fine = (
        match(tuple(decoded(folder, bits)), Sight(left), right, Limits(noise=NOISE, neighbours=3),
              near=250, far=700)
        for bits in (9, 10)
    )  # fmt: skip
    better = np.nan_to_num(fine.noise, nan=np.inf) < np.nan_to_num(coarse.noise, nan=np.inf)
    return Depths(
        np.where(better, fine.depth, coarse.depth),
        np.where(better, fine.noise, coarse.noise),
        np.where(better, fine.flags, coarse.flags),
    )


def residuals(depths: Depths, among: np.ndarray) -> np.ndarray:
    """Distances in mm from the plane that fits all chosen pixels best; NaN elsewhere."""
    slopes, z = Sight(eyes()[0]).slopes, depths.depth.astype(np.float64)
    points = np.stack([slopes[0] * z, slopes[1] * z, z], axis=-1)
    chosen = points[among]
    centre = chosen.mean(axis=0)
    normal = np.linalg.svd((chosen - centre).T @ (chosen - centre))[0][:, 2]
    off = np.full(z.shape, np.nan)
    off[among] = (chosen - centre) @ normal
    return off


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(values**2)))


def picture(folder: Path, number: int) -> np.ndarray:
    """A frame of the left camera, counts."""
    return read_image(folder / "captures" / f"{number:02d}-left.png", 1 << 26).astype(float)


def describe_light(folder: Path, lit: np.ndarray) -> None:
    """Print contrasts of the column stripes in the left camera, the blur they tell, the noise.

    A blur of deviation s leaves exp(-2 π² s² / P²) of the fundamental wave of stripes with period
    P, whose mean size is 8 / π² of the contrast.
    """
    row = np.nonzero(lit.any(axis=1))[0].mean().astype(int)
    width = lit[row].sum()
    words = decoded(folder, 9)[0].places["column"][row, lit[row]]
    cell = width / np.ptp(words)
    full = 0.0
    for bit in range(13):
        one, two = (picture(folder, number) for number in (1 + 2 * bit, 2 + 2 * bit))
        contrast = float(np.abs(one - two)[lit].mean())
        full, period = max(full, contrast), cell * 2.0 ** (10 - bit)
        left = contrast / full / (8 / np.pi**2)
        told = f"blur {period * np.sqrt(-np.log(left) / 2) / np.pi:.2f} px" if left < 0.9 else ""
        print(f"stripes of {period / 2:7.2f} px: mean contrast {contrast:6.1f} counts  {told}")
    off = (picture(folder, 49) - picture(folder, 50))[lit]
    spread = np.median(np.abs(off - np.median(off)))
    print(
        f"noise of a count, from the finest rows, unseen: {1.4826 * spread / np.sqrt(2):.2f} counts"
    )


def told(label: str, off: np.ndarray) -> None:
    sizes = np.abs(off[np.isfinite(off)])
    print(
        f"{label:46s} {sizes.size} px  rms {rms(off):.3f} mm  median {np.median(sizes):.3f}  "
        f"95 % {np.quantile(sizes, 0.95):.3f}  above 2 mm: {(sizes > 2).sum()}"
    )


def compare_opencv(folder: Path) -> None:
    """Hold the words of the Gray code against OpenCV's decoder, where its contrib modules are."""
    try:
        from cv2 import structured_light
    except ImportError:
        print("OpenCV's structured_light (opencv-contrib-python-headless) is not here to compare")
        return
    bits = {"column": 9, "row": 7}
    for side, ours in zip(("left", "right"), decoded(folder, 9), strict=True):
        stack = stack_of(folder, side, bits)
        theirs = structured_light.GrayCodePattern.create(*stack.code.size)
        theirs.setWhiteThreshold(5)
        frames = list(stack.frames(0, 0, len(stack.code)))
        words = [np.floor(ours.places[axis] + 0.5) for axis in ("column", "row")]
        same = both = 0
        for y, x in zip(*np.nonzero(ours.valid), strict=True):
            refused, place = theirs.getProjPixel(frames, int(x), int(y))
            both += not refused
            same += not refused and place == (words[0][y, x], words[1][y, x])
        print(
            f"{side}: {ours.valid.sum()} px valid here, {both} in OpenCV too, equal in "
            f"{100 * same / both:.3f} % of them"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    author = np.load(folder / "disparity.npz")["disparity"]
    there = author > 0
    theirs = Depths(
        np.where(there, FOCAL * BASELINE / np.where(there, author, 1), np.nan).astype(np.float32),
        np.zeros(author.shape, np.float32),
        (~there).astype(np.uint8),
    )
    told("the author's disparity", residuals(theirs, there))
    depths = measured(folder)
    found = depths.flags == 0
    off = residuals(depths, found)
    told("all that was measured, untrimmed", off)
    told("of these, on the author's pixels", np.where(there, off, np.nan))
    ranked = np.sort(depths.noise[found])
    best = found & (depths.noise <= ranked[min(AUTHORS, ranked.size) - 1])
    told(f"the {AUTHORS} that noise disturbs least", residuals(depths, best))
    sure = found & (depths.noise < 0.5)
    clear = residuals(depths, sure)
    told("noise of depth below 0.5 mm", clear)
    weight = ndimage.gaussian_filter(sure.astype(float), 15)
    smooth = ndimage.gaussian_filter(np.nan_to_num(clear), 15) / np.maximum(weight, 1e-3)
    smooth = np.where(sure, smooth, np.nan)
    print(f"of that: slower than 15 px {rms(smooth):.3f} mm, faster {rms(clear - smooth):.3f} mm")
    print(f"what the camera's noise explains: {rms(depths.noise[sure]) * 1.05 / 1.5:.3f} mm")
    describe_light(folder, there)
    compare_opencv(folder)


if __name__ == "__main__":
    main()
