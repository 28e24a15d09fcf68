"""Colour maps that are even to the eye, and survive colour blindness and a grey printer.

Each is a path through OKLab [1]_ between a few anchors, walked in steps of equal length, so equal
differences of a value look equally large. Lightness rises all the way: whoever sees no hue still
sees the order.

References
----------
.. [1] Ottosson: A perceptual color space for image processing, 2020.
"""

import numpy as np
from numpy.typing import NDArray

Colors = NDArray[np.uint8]

LEVELS = 32
"""Colours of a map: more of them cost bytes and show only noise."""

_LMS_FROM_LAB = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_LINEAR_FROM_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
_DENSE = 4096


def srgb_from_oklab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert OKLab colours to sRGB.

    Parameters
    ----------
    lab : float array (…, 3)
        Lightness 0–1, and the two hue axes.

    Returns
    -------
    float array (…, 3)
        Below 0 or above 1 where the colour is outside sRGB.
    """
    linear = (lab @ _LMS_FROM_LAB.T) ** 3 @ _LINEAR_FROM_LMS.T
    curved = 1.055 * np.sign(linear) * np.abs(linear) ** (1 / 2.4) - 0.055
    srgb: NDArray[np.float64] = np.where(np.abs(linear) <= 0.0031308, 12.92 * linear, curved)
    return srgb


def color_map(anchors: tuple[tuple[float, float, float], ...]) -> Colors:
    """Walk from anchor to anchor in steps of equal length.

    Parameters
    ----------
    anchors : tuple of (L, a, b)
        OKLab colours, lightness ascending.

    Returns
    -------
    uint8 array (LEVELS, 3)
    """
    points = np.array(anchors)
    along = np.linspace(0, 1, len(points))
    dense = np.linspace(0, 1, _DENSE)
    path = np.stack([np.interp(dense, along, axis) for axis in points.T], axis=1)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0, length[-1], LEVELS)
    steps = np.stack([np.interp(even, length, axis) for axis in path.T], axis=1)
    colors: Colors = np.round(srgb_from_oklab(steps).clip(0, 1) * 255).astype(np.uint8)
    return colors


COLOR_MAPS = {
    "score": color_map(
        ((0.14, 0.01, -0.02), (0.38, 0.08, -0.10), (0.57, 0.14, 0.02), (0.75, 0.09, 0.12),
         (0.95, -0.03, 0.12))
    ),
    "height": color_map(
        ((0.22, -0.01, -0.06), (0.42, -0.04, -0.06), (0.62, -0.08, 0.01), (0.80, -0.07, 0.10),
         (0.96, 0.00, 0.07))
    ),
    "temperature": color_map(
        ((0.25, 0.00, -0.12), (0.45, 0.05, -0.10), (0.62, 0.11, 0.02), (0.80, 0.06, 0.08),
         (0.97, 0.01, 0.03))
    ),
    "transmission": color_map(((0.12, 0.0, 0.0), (0.97, 0.0, 0.0))),
}  # fmt: skip
"""By what is shown: evidence, height, temperature, transmission."""


def css_gradient(name: str, stops: int = 9) -> str:
    """Give a colour map as a CSS gradient, low on the left.

    Parameters
    ----------
    name : str
        One of ``COLOR_MAPS``.
    stops : int
        Colours to name.

    Returns
    -------
    str
    """
    chosen = np.linspace(0, LEVELS - 1, stops).round().astype(int)
    named = ("#" + bytes(color).hex() for color in COLOR_MAPS[name][chosen])
    return f"linear-gradient(to right, {', '.join(named)})"
