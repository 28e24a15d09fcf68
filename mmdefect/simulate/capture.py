"""One capture from end to end: draw a part, apply its defect, let the sensors look.

* Part, defect, surroundings and noise have random streams of their own, so the same seed gives
  the same part, light and noise with and without the defect: a pair of twins.
* Each sensor's contrast is measured between the twins' noise-free renderings. It says which
  sensor sees which defect, and nobody has to claim it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import CardError
from mmdefect.simulate.defects import DEFECTS, Defect
from mmdefect.simulate.infrared import (
    Heating,
    draw_bad_pixels,
    draw_heating,
    expose_infrared,
    render_infrared,
)
from mmdefect.simulate.part import build, draw_panel
from mmdefect.simulate.points import Scanning, draw_scanning, expose_points, render_points
from mmdefect.simulate.rgb import Lighting, draw_lighting, expose_rgb, render_rgb
from mmdefect.simulate.truth import Grid, Map, Mask, Rendering, Truth

GOOD = "good"
KINDS = (GOOD, *DEFECTS)
SPLITS = ("train", "test")
SMALLEST = 48
_CAMERA_STREAM = 2


@dataclass(frozen=True)
class Surroundings:
    """Everything about one trigger that is not the part."""

    lighting: Lighting
    scanning: Scanning
    heating: Heating


@dataclass(frozen=True)
class Capture:
    """All frames of one part, with what is true about it.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    seed : tuple of int
        Seed of the data set, number of the split, index within the split.
    rgb : array (y, x, color), uint8
        Counts of the colour camera.
    points : Map (y, x, axis), mm
        Organised point cloud in the camera's frame; NaN where no point came back.
    infrared : Map (y, x), K
        Temperature; NaN at the camera's bad pixels.
    mask : Mask (y, x)
        Where the defect is; nowhere on a good part.
    sizes : dict of str to float
        What was drawn for the defect; the unit ends the name.
    contrast : dict of str to float, 1
        Contrast-to-noise ratio per sensor; empty for a good part.
    renderings : dict of str to Rendering
        The same frames before noise; those of `points` are depths.
    """

    kind: str
    seed: tuple[int, int, int]
    rgb: NDArray[np.uint8]
    points: Map
    infrared: Map
    mask: Mask
    sizes: dict[str, float]
    contrast: dict[str, float]
    renderings: dict[str, Rendering]


def render_all(truth: Truth, around: Surroundings) -> dict[str, Rendering]:
    """Let every sensor look at the part, without noise."""
    return {
        "rgb": render_rgb(truth, around.lighting),
        "points": render_points(truth, around.scanning),
        "infrared": render_infrared(truth, around.heating),
    }


def contrast_to_noise(seen: Rendering, twin: Rendering, mask: Mask) -> float:
    """Measure how far a defect stands out of one sensor's noise.

    Parameters
    ----------
    seen, twin : Rendering (y, x) or (y, x, color)
        The part with its defect and without.
    mask : Mask (y, x)
        Where the defect is.

    Returns
    -------
    float
        Mean absolute difference over the mask, divided by the mean noise of the twin there;
        pixels where either twin has no measurement are left out, 0 when none is left.
    """
    difference = np.abs(seen.signal - twin.signal)[mask]
    both = np.isfinite(difference)
    if not both.any():
        return 0.0
    return float(difference[both].mean() / twin.noise[mask][both].mean())


def _apply(defect: Defect, grid: Grid) -> tuple[Truth, Mask]:
    """Return the maps of the defective part and the defect's extent on the frames' grid."""
    truth = defect.alter(build(defect.panel, grid))
    return truth, grid.reduce(defect.extent(truth)) >= 0.5


def check_size(size: int) -> None:
    """Refuse frames too small for the panel's features with a `CardError`."""
    if size < SMALLEST:
        raise CardError(
            f"frames of {size} px were asked for, but the panel's features need at least "
            f"{SMALLEST} px: ask for more"
        )


def _check_names(kind: str, split: str) -> None:
    """Refuse kinds and splits that do not exist."""
    if kind not in KINDS:
        raise CardError(f"no kind {kind!r} on the simulated panel; there are: {', '.join(KINDS)}")
    if split not in SPLITS:
        raise CardError(f"no split {split!r}; there are: {', '.join(SPLITS)}")


def render_capture(
    kind: str = GOOD, *, seed: int = 0, split: str = "test", index: int = 0, size: int = 192
) -> Capture:
    """Make one capture in memory.

    Parameters
    ----------
    kind : str
        ``"good"`` or a kind of defect, see ``KINDS``. With the same other arguments, all kinds
        share part, light and noise, so that ``"good"`` is every other kind's twin.
    seed, split, index
        Which part: the data set's seed, ``"train"`` or ``"test"``, index within the split.
    size : int, px
        Rows and columns; the field of view is 96 mm.

    Returns
    -------
    Capture
        Frames, mask, sizes and measured contrast.

    Raises
    ------
    CardError
        When the kind or split is unknown, or the frames are too small.
    """
    _check_names(kind, split)
    check_size(size)
    grid = Grid(size)
    key = (seed, SPLITS.index(split), index)
    part, flaw, around, *noise = np.random.default_rng(key).spawn(6)
    panel = draw_panel(part)
    surroundings = Surroundings(draw_lighting(around), draw_scanning(around), draw_heating(around))
    good = build(panel, grid)
    mask = np.zeros((size, size), np.bool_)
    seen, sizes, contrast = render_all(good, surroundings), {}, {}
    if kind != GOOD:
        defect, twin = DEFECTS[kind](flaw, panel), seen
        truth, mask = _apply(defect, grid)
        seen, sizes = render_all(truth, surroundings), defect.sizes
        contrast = {name: contrast_to_noise(seen[name], twin[name], mask) for name in seen}
    bad = draw_bad_pixels(grid, np.random.default_rng((seed, _CAMERA_STREAM)))
    return Capture(
        kind=kind,
        seed=key,
        rgb=expose_rgb(seen["rgb"], noise[0]).astype(np.uint8),
        points=expose_points(seen["points"], grid, noise[1]),
        infrared=expose_infrared(seen["infrared"], bad, noise[2]),
        mask=mask,
        sizes=sizes,
        contrast=contrast,
        renderings=seen,
    )
