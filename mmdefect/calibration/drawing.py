"""Targets on paper: PNG and SVG files that print to size, and what a target reflects where.

The lengths stand below the pattern. Printers scale by a percent without asking, so whoever mounts
a print measures it and corrects the target's description: that length is the rig's only one.
"""

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from mmdefect.calibration._opencv import opencv
from mmdefect.calibration.target import Target
from mmdefect.errors import CalibrationError

_MM_PER_INCH = 25.4
_MOST_PIXELS = 1 << 28
_LABEL_SHARE = 0.4
_LETTER_WIDTH = 0.6
_OVERSAMPLED = 4


def reflectance(
    target: Target, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Tell what a target reflects.

    Parameters
    ----------
    target : Target
    x, y : array (…), mm
        Places in the target's frame; the sheet goes on beyond the pattern.

    Returns
    -------
    array (…), float64
        0 where it is dark, 1 where it is bright.

    Raises
    ------
    CalibrationError
        When OpenCV, which knows the markers, is needed and absent.
    """
    if target.round:
        dark = _in_circle(target, x, y)
    else:
        row, column = np.floor(y / target.pitch), np.floor(x / target.pitch)
        inside = (row >= 0) & (row < target.rows) & (column >= 0) & (column < target.columns)
        dark = inside & ((row + column) % 2 == 0)
        if target.kind == "charuco":
            dark |= _in_marker(target, x, y, row, column, inside)
    return np.where(dark == target.dark, 0.0, 1.0)


def _in_circle(target: Target, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which places (…) lie in a circle."""
    found = np.zeros(np.shape(x), dtype=bool)
    shifted = target.kind == "asymmetric-circles"
    for nearest in (np.floor, np.ceil):
        row = np.clip(nearest(y / target.pitch), 0, target.rows - 1)
        shift, step = (row % 2, 2) if shifted else (0 * row, 1)
        column = np.clip(np.rint((x / target.pitch - shift) / step), 0, target.columns - 1)
        off = np.hypot(x - (column * step + shift) * target.pitch, y - row * target.pitch)
        found |= off <= target.diameter / 2
    return found


def _in_marker(
    target: Target, x: Any, y: Any, row: Any, column: Any, inside: Any
) -> NDArray[np.bool_]:
    """Tell which places (…) of a ChArUco board lie in a marker's dark module."""
    modules = marker_modules(target)
    side = modules.shape[1]
    edge = (target.pitch - target.marker) / 2
    down = np.floor((y - row * target.pitch - edge) / target.marker * side)
    across = np.floor((x - column * target.pitch - edge) / target.marker * side)
    here = inside & ((row + column) % 2 == 1) & (np.minimum(down, across) >= 0)
    here &= np.maximum(down, across) < side
    number = np.floor((row * target.columns + column) / 2).astype(int)
    number = np.where(here, number, 0)
    down, across = (np.where(here, index, 0).astype(int) for index in (down, across))
    dark: NDArray[np.bool_] = here & ~modules[number, down, across]
    return dark


def dictionary(target: Target) -> Any:
    """Fetch a ChArUco board's set of markers from OpenCV.

    Parameters
    ----------
    target : Target

    Returns
    -------
    cv2.aruco.Dictionary

    Raises
    ------
    CalibrationError
        When OpenCV is absent, knows no such set, or the set is too small for the board.
    """
    aruco = opencv().aruco
    number = getattr(aruco, f"DICT_{target.dictionary}", None)
    if not isinstance(number, int):
        known = sorted(name[5:] for name in dir(aruco) if name.startswith("DICT_"))
        raise CalibrationError(
            f"the target's dictionary is {target.dictionary!r}; there are: {', '.join(known)}"
        )
    markers = aruco.getPredefinedDictionary(number)
    needed = target.rows * target.columns // 2
    if len(markers.bytesList) < needed:
        raise CalibrationError(
            f"the target needs {needed} markers, but the dictionary {target.dictionary!r} has "
            f"{len(markers.bytesList)}; choose a larger one"
        )
    return markers


def marker_modules(target: Target) -> NDArray[np.bool_]:
    """Give a ChArUco board's markers, dark border included.

    Parameters
    ----------
    target : Target

    Returns
    -------
    array (marker, row, column), bool
        True where a module is bright; in the order of the bright squares, row by row.

    Raises
    ------
    CalibrationError
        As ``dictionary``.
    """
    markers = dictionary(target)
    side = markers.markerSize + 2
    count = target.rows * target.columns // 2
    return np.stack([markers.generateImageMarker(n, side) > 0 for n in range(count)])


def label(target: Target) -> str:
    """Tell a target's lengths as they are printed below it.

    Parameters
    ----------
    target : Target

    Returns
    -------
    str
    """
    what = f"{target.kind} {target.rows} x {target.columns}"
    if target.round:
        return f"{what}, spacing {target.pitch:g} mm, diameter {target.diameter:g} mm"
    marker = f", marker {target.marker:g} mm, {target.dictionary}" if target.marker else ""
    return (
        f"{what}, square {target.pitch:g} mm{marker}: {target.columns} squares are "
        f"{target.columns * target.pitch:g} mm wide"
    )


def write_target(target: Target, path: str | Path, *, dpi: float = 600.0) -> None:
    """Write a target for the printer, with a margin of one pitch and its lengths below.

    Parameters
    ----------
    target : Target
    path : str or Path
        ``.svg`` or ``.png``.
    dpi : float, 1/inch
        Of a PNG; the file states it, so that it prints to size.

    Raises
    ------
    CalibrationError
        When the suffix is another, or the PNG would be larger than 2²⁸ pixels.
    """
    path = Path(path)
    if path.suffix.lower() == ".svg":
        path.write_text(_svg(target), encoding="utf-8")
    elif path.suffix.lower() == ".png":
        _write_png(target, path, dpi)
    else:
        raise CalibrationError(f"'{path.name}' is neither .svg nor .png; targets are written so")


def _sheet(target: Target) -> tuple[float, float, float, float]:
    """Give the sheet's left, top, width and height in the target's frame, mm."""
    left, top, right, bottom = target.extent
    margin = target.pitch
    strip = margin * _LABEL_SHARE
    return left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin + strip


def _text_height(target: Target) -> float:
    """Give the height of letters, in mm, at which the lengths fit below the pattern."""
    left, _, right, _ = target.extent
    fitting = (right - left) / (_LETTER_WIDTH * len(label(target)))
    return float(min(fitting, _LABEL_SHARE * target.pitch / 1.5))


def _write_png(target: Target, path: Path, dpi: float) -> None:
    """Draw a target in pixels, each the mean of 4 x 4 places in it."""
    from PIL import Image, ImageDraw, ImageFont

    left, top, width, height = _sheet(target)
    pixel = _MM_PER_INCH / dpi
    columns, rows = round(width / pixel), round(height / pixel)
    if not 0 < rows * columns <= _MOST_PIXELS:
        raise CalibrationError(
            f"the target is {width:.0f} mm x {height:.0f} mm, {rows} x {columns} pixels at "
            f"{dpi:g} dpi; write it as .svg, or with fewer dpi"
        )
    offsets = (np.arange(_OVERSAMPLED) + 0.5) / _OVERSAMPLED
    across = left + (np.arange(columns)[:, None] + offsets).ravel() * pixel
    grey = np.empty((rows, columns), dtype=np.uint8)
    for row in range(rows):
        x, y = np.meshgrid(across, top + (row + offsets) * pixel)
        fine = reflectance(target, x, y).mean(0)
        grey[row] = np.rint(255 * fine.reshape(columns, _OVERSAMPLED).mean(1))
    image = Image.fromarray(grey)
    text = _text_height(target)
    font = ImageFont.load_default(text / pixel)
    place = ((target.extent[0] - left) / pixel, rows - 1.5 * text / pixel)
    ink = 0 if target.dark else 255
    ImageDraw.Draw(image).text(place, label(target), fill=ink, font=font)
    image.save(path, dpi=(dpi, dpi))


def _svg(target: Target) -> str:
    """Draw a target in millimetres."""
    left, top, width, height = _sheet(target)
    sheet, ink = ("white", "black") if target.dark else ("black", "white")
    text = _text_height(target)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm" '
        f'viewBox="{left:g} {top:g} {width:g} {height:g}" shape-rendering="crispEdges">',
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" fill="{sheet}"/>',
        f'<g fill="{ink}">',
        *(_circles(target) if target.round else _squares(target)),
        f'<text x="{target.extent[0]:g}" y="{top + height - text:g}" font-family="sans-serif" '
        f'font-size="{text:g}">{escape(label(target))}</text>',
        "</g></svg>",
    ]
    return "\n".join(lines) + "\n"


def _circles(target: Target) -> list[str]:
    """Draw circles as SVG."""
    half = target.diameter / 2
    return [f'<circle cx="{x:.9g}" cy="{y:.9g}" r="{half:.9g}"/>' for x, y, _ in target.points]


def _squares(target: Target) -> list[str]:
    """Draw squares, and the dark modules of their markers, as SVG."""
    drawn = []
    modules = marker_modules(target) if target.kind == "charuco" else None
    for row, column in np.ndindex(target.rows, target.columns):
        x, y = column * target.pitch, row * target.pitch
        if (row + column) % 2 == 0:
            drawn.append(_rectangle(x, y, target.pitch))
        elif modules is not None:
            marker = modules[(row * target.columns + column) // 2]
            edge, side = (target.pitch - target.marker) / 2, target.marker / len(marker)
            for i, j in np.argwhere(~marker):
                drawn.append(_rectangle(x + edge + j * side, y + edge + i * side, side))
    return drawn


def _rectangle(x: float, y: float, side: float) -> str:
    """Draw a square as SVG."""
    return f'<rect x="{x:.9g}" y="{y:.9g}" width="{side:.9g}" height="{side:.9g}"/>'
