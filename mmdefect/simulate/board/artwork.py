"""The board's films, drawn once: copper, openings of the solder mask, and the silkscreen.

All on one grid, finer than any sensor's pixels; edges are smoothed by drawing four times finer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from mmdefect.simulate.board.families import package
from mmdefect.simulate.board.layout import (
    BOARD_MM,
    FIDUCIAL_MM,
    FIDUCIALS,
    HOLES,
    SITE,
    SITES,
    Site,
)
from mmdefect.simulate.board.routes import all_pads, routes
from mmdefect.simulate.raster import Map, Raster, as_map

PITCH_MM = 0.15
TRACE_MM = 0.32
CLEARANCE_MM = 0.36
VIA_MM, DRILL_MM = 0.8, 0.4
MASK_MM = 0.08
TEXT_MM = 1.7
LINE_MM = 0.2
RELIEF_MM = 0.02
TITLE = "MMD-90  REV C"
_FINER = 4
_MARGIN_MM = 0.35


class _Canvas:
    """A drawing in mm about the board's origin, on the artwork's grid."""

    def __init__(self) -> None:
        self.raster = Raster.over(*BOARD_MM, PITCH_MM)
        rows, columns = self.raster.values.shape
        self._image = Image.new("L", (columns * _FINER, rows * _FINER), 0)
        self.pen = ImageDraw.Draw(self._image)
        self.zoom = _FINER / PITCH_MM

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Give the drawing's pixel of a place."""
        return (
            (x - self.raster.x) * self.zoom + (_FINER - 1) / 2,
            (y - self.raster.y) * self.zoom + (_FINER - 1) / 2,
        )

    def box(self, x: float, y: float, width: float, height: float, fill: int = 255) -> None:
        """Fill a rectangle about a centre."""
        corners = (self.at(x - width / 2, y - height / 2), self.at(x + width / 2, y + height / 2))
        self.pen.rectangle(corners, fill)

    def disc(self, x: float, y: float, diameter: float, fill: int = 255) -> None:
        """Fill a circle."""
        r = diameter / 2
        self.pen.ellipse((self.at(x - r, y - r), self.at(x + r, y + r)), fill)

    def line(self, corners: Any, width: float, fill: int = 255) -> None:
        """Draw a line through corners (x, y)."""
        places = [self.at(*corner) for corner in corners]
        self.pen.line(places, fill, round(width * self.zoom), joint="curve")
        for x, y in (corners[0], corners[-1]):
            self.disc(x, y, width, fill)

    def text(self, x: float, y: float, text: str, tall: float) -> None:
        """Write about a centre."""
        font = ImageFont.load_default(tall * self.zoom)
        stroke = 0.04 * self.zoom
        self.pen.text(self.at(x, y), text, 255, font, anchor="mm", stroke_width=stroke)

    @property
    def share(self) -> Map:
        """Give how much of each place is covered (y, x), 0–1."""
        share = as_map(np.asarray(self._image.reduce(_FINER)) / 255)
        share.flags.writeable = False
        return share


def drawn(paint: Callable[["_Canvas"], None]) -> Map:
    """Give the share of each place (y, x) that a drawing covers, 0–1."""
    canvas = _Canvas()
    paint(canvas)
    return canvas.share


@lru_cache(maxsize=1)
def copper() -> Map:
    """Draw the top copper (y, x), 0–1: ground poured around traces, pads and vias."""

    def paint(canvas: _Canvas) -> None:
        pads, _ = all_pads()
        canvas.box(0, 0, BOARD_MM[0] - 1.6, BOARD_MM[1] - 1.6)
        for x, y in HOLES:
            canvas.disc(x, y, 7.0, 0)
        for grow, fill in ((CLEARANCE_MM, 0), (0.0, 255)):
            for trace in routes().traces:
                canvas.line(trace, TRACE_MM + 2 * grow, fill)
            for x, y in routes().vias:
                canvas.disc(x, y, VIA_MM + 2 * grow, fill)
            for x, y, width, height in pads.tolist():
                canvas.box(x, y, width + 2 * grow, height + 2 * grow, fill)
            for x, y in FIDUCIALS:
                canvas.disc(x, y, FIDUCIAL_MM + 4 * grow, fill)

    return drawn(paint)


@lru_cache(maxsize=1)
def tinned() -> Map:
    """Draw where the solder mask leaves tinned copper bare (y, x), 0–1."""

    def paint(canvas: _Canvas) -> None:
        for x, y, width, height in all_pads()[0].tolist():
            canvas.box(x, y, width + 2 * MASK_MM, height + 2 * MASK_MM)
        for x, y in FIDUCIALS:
            canvas.disc(x, y, FIDUCIAL_MM)
        for x, y in HOLES:
            canvas.disc(x, y, 6.2)

    return drawn(paint)


@lru_cache(maxsize=1)
def drills() -> Map:
    """Draw the vias' drill holes under the mask (y, x), 0–1."""

    def paint(canvas: _Canvas) -> None:
        for x, y in routes().vias:
            canvas.disc(x, y, DRILL_MM)

    return drawn(paint)


@lru_cache(maxsize=1)
def relief() -> tuple[Map, Map]:
    """Give the slopes d height / dx and / dy (y, x) of the mask over the copper's edges."""
    height = RELIEF_MM * ndimage.gaussian_filter(copper() - drills(), 0.8)
    down, right = np.gradient(height, PITCH_MM)
    return as_map(right), as_map(down)


@dataclass(frozen=True)
class Legend:
    """What is printed for one site: its outline, and a text about a place (mm)."""

    site: str
    text: str
    x: float
    y: float
    outline: bool = True


def _text_width(text: str) -> float:
    """Give about how wide a text of the usual height is, mm."""
    return 0.62 * TEXT_MM * len(text)


def site_reach(site: Site) -> tuple[float, float]:
    """Give a site's width along x and height along y, leads included, mm."""
    width, height = package(site.package).reach
    return (height, width) if abs(np.sin(np.deg2rad(site.turn))) > 0.5 else (width, height)


@lru_cache(maxsize=1)
def legends() -> tuple[Legend, ...]:
    """Place each site's text beside it, where nothing else stands."""
    taken = [(site.x, site.y, *site_reach(site)) for site in SITES]
    taken += [(*hole, 7.0, 7.0) for hole in HOLES] + [(*f, 3.0, 3.0) for f in FIDUCIALS]
    found = []
    for site in SITES:
        width, height = site_reach(site)
        wide = _text_width(site.name)
        up, aside = (height + TEXT_MM) / 2 + 0.3, (width + wide) / 2 + 0.4
        spots = [(0, -up), (0, up), (aside, 0), (-aside, 0), (aside, -up), (-aside, -up)]
        for right, down in spots:
            box = (site.x + right, site.y + down, wide, TEXT_MM)
            if not any(_meet(box, other) for other in taken):
                taken.append(box)
                found.append(Legend(site.name, site.name, box[0], box[1]))
                break
        else:
            found.append(Legend(site.name, "", site.x, site.y))
    return tuple(found)


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Tell whether two boxes (x, y, width, height) overlap, or leave the board."""
    beyond = any(abs(one[i]) + one[i + 2] / 2 > BOARD_MM[i] / 2 - 0.8 for i in (0, 1))
    apart = any(abs(one[i] - other[i]) > (one[i + 2] + other[i + 2]) / 2 + 0.15 for i in (0, 1))
    return beyond or not apart


@lru_cache(maxsize=8)
def silkscreen(chosen: tuple[Legend, ...]) -> Map:
    """Draw the silkscreen (y, x), 0–1, where it was meant to be."""

    def paint(canvas: _Canvas) -> None:
        for legend in chosen:
            if legend.outline:
                _outline(canvas, SITE[legend.site])
            if legend.text:
                canvas.text(legend.x, legend.y, legend.text, TEXT_MM)
        canvas.text(-23.0, 34.6, TITLE, 2.2)
        canvas.box(3.5, 34.8, 9.0, 2.6)

    return drawn(paint)


def _outline(canvas: _Canvas, site: Site) -> None:
    """Draw a site's outline around its case, open where its pads are, and a dot at lead one."""
    made = package(site.package)
    turn = np.deg2rad(site.turn)
    c, s = float(np.cos(turn)), float(np.sin(turn))
    half_x, half_y = made.size[0] / 2 + _MARGIN_MM, made.size[1] / 2 + _MARGIN_MM
    faces = [(-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y)]
    corners = [(site.x + c * x - s * y, site.y + s * x + c * y) for x, y in faces]
    if min(made.size[:2]) < 3.0:
        for first, second in ((0, 1), (3, 2)):
            canvas.line((corners[first], corners[second]), LINE_MM)
        return
    canvas.line((*corners, corners[0]), LINE_MM)
    x, y = -half_x - 0.6, -half_y - 0.6
    canvas.disc(site.x + c * x - s * y, site.y + s * x + c * y, 0.7)
