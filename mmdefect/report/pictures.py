"""Arrays to thumbnails: small enough that a page holds hundreds, honest about what they hide.

* Maps of evidence shrink by their highest value: a defect of a few pixels stays as bright as it
  was. Frames shrink by their mean.
* Where a sensor was blind there is hatching, a colour that no map has.
* Heights are shaded by their slope: a dent is small beside the height of the part.
* The ground truth is an outline of a bright and a dark line, which shows on any picture and
  covers none of the defect.
"""

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmdefect.report.colors import COLOR_MAPS, LEVELS, Colors

if TYPE_CHECKING:
    from PIL import Image

Plane = NDArray[np.floating]
Mask = NDArray[np.bool_]

SIDE = 224
"""Longest side of a thumbnail in pixels."""

HATCH = np.array([[118, 118, 118], [150, 150, 150]], dtype=np.uint8)
OUTLINE = np.array([[0, 229, 255], [0, 0, 0]], dtype=np.uint8)
_STRIPE = 3
_JPEG_QUALITY = 85


def shrink(values: Plane, by: str) -> Plane:
    """Bring a plane to the size of a thumbnail.

    Parameters
    ----------
    values : float array (y, x)
        NaN where blind.
    by : str
        ``mean`` or ``max`` of the known pixels that become one.

    Returns
    -------
    float array (y, x)
        Longest side at most ``SIDE``; small planes are enlarged by a whole factor. NaN where no
        pixel was known.
    """
    longest = max(values.shape)
    if longest <= SIDE:
        factor = SIDE // longest
        return values.repeat(factor, axis=0).repeat(factor, axis=1)
    known = ~np.isnan(values)
    counts = _blocks(np.add, known.astype(np.float64))
    if by == "max":
        reduced = _blocks(np.maximum, np.where(known, values, -np.inf))
    else:
        reduced = _blocks(np.add, np.where(known, values, 0.0)) / np.maximum(counts, 1)
    return np.where(counts > 0, reduced, np.nan)


def shrink_mask(mask: Mask) -> Mask:
    """Bring a mask to the size of a thumbnail: true where any of its pixels was.

    Parameters
    ----------
    mask : bool array (y, x)

    Returns
    -------
    bool array (y, x)
    """
    return shrink(mask.astype(np.float32), "max") > 0


def map_png(values: Plane, colors: str, low: float, high: float, mask: Mask | None) -> str:
    """Draw a plane of numbers.

    Parameters
    ----------
    values : float array (y, x)
        Of a thumbnail's size; NaN is hatched.
    colors : str
        One of ``COLOR_MAPS``.
    low, high : float
        The values of the first and the last colour; what lies beyond takes theirs.
    mask : bool array (y, x), optional
        Outlined.

    Returns
    -------
    str
        A PNG with a palette, as a ``data:`` address.
    """
    from PIL import Image

    index = _indices(values, low, high)
    if mask is not None:
        for number, ring in enumerate(_outline(mask)):
            index[ring] = LEVELS + len(HATCH) + number
    picture = Image.fromarray(index)
    picture.putpalette(np.concatenate([COLOR_MAPS[colors], HATCH, OUTLINE]).tobytes())
    return _embedded(picture, "png")


def color_jpeg(colors: Colors, mask: Mask | None) -> str:
    """Draw a colour picture.

    Parameters
    ----------
    colors : uint8 array (y, x, 3)
    mask : bool array (y, x), optional
        Outlined.

    Returns
    -------
    str
        A JPEG, as a ``data:`` address.
    """
    from PIL import Image

    drawn = colors.copy()
    if mask is not None:
        for number, ring in enumerate(_outline(mask)):
            drawn[ring] = OUTLINE[number]
    return _embedded(Image.fromarray(drawn), "jpeg", quality=_JPEG_QUALITY)


def photo_colors(planes: Plane) -> Colors:
    """Turn a colour frame into the thumbnail of a photo.

    Parameters
    ----------
    planes : float array (color, y, x)
        Red, green, blue, 0–1; NaN is hatched.

    Returns
    -------
    uint8 array (y, x, 3)
    """
    small = np.stack([shrink(plane, "mean") for plane in planes], axis=-1)
    blind: Mask = np.asarray(np.isnan(small).any(axis=-1))
    counts = np.round(np.nan_to_num(small).clip(0, 1) * 255).astype(np.uint8)
    return np.where(blind[..., None], HATCH[_stripes(blind.shape)], counts)


def map_colors(values: Plane, colors: str, low: float, high: float) -> Colors:
    """Turn a plane of numbers into colours.

    Parameters
    ----------
    values : float array (y, x)
        Of a thumbnail's size; NaN is hatched.
    colors, low, high
        As for ``map_png``.

    Returns
    -------
    uint8 array (y, x, 3)
    """
    return np.concatenate([COLOR_MAPS[colors], HATCH])[_indices(values, low, high)]


def shaded(colors: Colors, heights: Plane) -> Colors:
    """Shade heights as if lit from a corner: a dent of a hundredth of the range still shows.

    Parameters
    ----------
    colors : uint8 array (y, x, 3)
        The heights in colour.
    heights : float array (y, x)
        Of the same size.

    Returns
    -------
    uint8 array (y, x, 3)
        Unchanged where a slope is not known.
    """
    down, right = (np.diff(heights, axis=axis, prepend=np.nan) for axis in (0, 1))
    slope = _softened(np.nan_to_num(down + right))
    usual = np.percentile(np.abs(slope), 90)
    if usual == 0:
        return colors
    light = 1 + 0.45 * np.tanh(slope / (2.5 * usual))
    lit = np.round(colors * light[..., None]).clip(0, 255).astype(np.uint8)
    return np.where(np.isnan(heights)[..., None], colors, lit)


def overlaid(photo: Colors, evidence: Plane, top: float) -> Colors:
    """Lay evidence over a picture, which turns grey so that colour means evidence only.

    Parameters
    ----------
    photo : uint8 array (y, x, 3)
    evidence : float array (y, x)
        Of the same size; where it is NaN the picture stays bare.
    top : float
        The evidence that covers most.

    Returns
    -------
    uint8 array (y, x, 3)
    """
    grey = photo @ np.array([0.299, 0.587, 0.114])
    strength = 0.85 * np.nan_to_num(evidence / top).clip(0, 1)[..., None]
    laid = map_colors(evidence, "score", 0.0, top)
    mixed = (1 - strength) * grey[..., None] + strength * laid
    colors: Colors = np.round(mixed).astype(np.uint8)
    return colors


def _indices(values: Plane, low: float, high: float) -> NDArray[np.uint8]:
    """Give the number of every pixel's colour, hatched where it is NaN."""
    blind = np.isnan(values)
    share = (np.where(blind, low, values) - low) / (high - low)
    index = np.round(share.clip(0, 1) * (LEVELS - 1)).astype(np.uint8)
    return np.where(blind, LEVELS + _stripes(values.shape), index)


def _stripes(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Draw diagonal stripes of 0 and 1."""
    y, x = np.indices(shape)
    stripes: NDArray[np.uint8] = ((y + x) // _STRIPE % 2).astype(np.uint8)
    return stripes


def _outline(mask: Mask) -> tuple[Mask, Mask]:
    """Give the bright line around a mask, and the dark line around that."""
    bright = _grown(mask)
    return bright & ~mask, _grown(bright) & ~bright


def _grown(mask: Mask) -> Mask:
    """Grow a mask by one pixel in all eight directions."""
    padded = np.pad(mask, 1)
    tall = padded[:-2] | padded[1:-1] | padded[2:]
    return tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]


def _softened(values: Plane) -> Plane:
    """Give every pixel the mean of itself and its eight neighbours."""
    padded = np.pad(values, 1, mode="edge")
    tall = padded[:-2] + padded[1:-1] + padded[2:]
    return (tall[:, :-2] + tall[:, 1:-1] + tall[:, 2:]) / 9


def _blocks(reduce: np.ufunc, values: Plane) -> Plane:
    """Reduce the blocks of pixels that become one pixel of a thumbnail."""
    longest = max(values.shape)
    for axis, length in enumerate(values.shape):
        count = max(1, round(length * SIDE / longest))
        starts = np.linspace(0, length, count, endpoint=False).astype(int)
        values = reduce.reduceat(values, starts, axis=axis)
    return values


def _embedded(picture: "Image.Image", kind: str, **settings: object) -> str:
    """Give a picture as a ``data:`` address."""
    stream = BytesIO()
    picture.save(stream, kind, **settings)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
