"""Marks on a part's surface: dust, fingerprints, scratches, stains, dents, lettering.

Good parts carry some of them and defects are others; both are painted by the same code, so that
no sensor can tell a defect by how it was made. Whatever is painted ends at a stated reach:
beyond it a part and its twin are equal to the last bit.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import cos, sin
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from mmdefect.simulate.body import Finish, Skin
from mmdefect.simulate.raster import Map, Raster, as_map

INK_PER_MM = 8
_DUST = Finish((0.42, 0.41, 0.38), roughness=0.6, emissivity=0.93)
_RIDGE_MM = 0.9
_HAIRLINE_REACH = 2.0
_SHOWN_MM = 0.3


@dataclass(frozen=True)
class Place:
    """Where something lies on a part: x, y (mm) and its turn (rad, from x towards y)."""

    x: float
    y: float
    turn: float = 0.0

    def local(self, x: Any, y: Any) -> tuple[Map, Map]:
        """Bring the part's x and y into coordinates of the thing that lies here, mm."""
        right, down = x - np.float32(self.x), y - np.float32(self.y)
        c, s = np.float32(cos(self.turn)), np.float32(sin(self.turn))
        return as_map(c * right + s * down), as_map(c * down - s * right)


@dataclass(frozen=True)
class Smudge:
    """A fingerprint: place, size (mm) and how greasy it is, 0–1."""

    place: Place
    size: float
    strength: float


@dataclass(frozen=True)
class Scratch:
    """A hairline: place, length, width, depth (mm), curvature (1/mm)."""

    place: Place
    length: float
    width: float
    depth: float
    bend: float

    def distance(self, x: Any, y: Any) -> tuple[Map, Map]:
        """Give the signed distance across it and how far beyond its ends a place lies, mm."""
        u, v = self.place.local(x, y)
        beyond = np.maximum(np.abs(u) - np.float32(self.length / 2), 0)
        return as_map(v - np.float32(self.bend) * u * u), as_map(beyond)

    def extent(self, x: Any, y: Any) -> Any:
        """Tell where it is, at least 0.6 mm wide."""
        across, beyond = self.distance(x, y)
        return (np.abs(across) < _SHOWN_MM) & (beyond <= 0)

    @property
    def sizes(self) -> dict[str, float]:
        """Give its sizes for the record."""
        return {"length_mm": self.length, "width_mm": self.width, "depth_mm": self.depth}


@dataclass(frozen=True)
class Stain:
    """A dried film: place, diameter (mm), strength 0–1, waves of its edge (2, n)."""

    place: Place
    diameter: float
    strength: float
    waves: tuple[tuple[float, float], ...]

    def inside(self, x: Any, y: Any) -> Map:
        """Give how far inside its edge a place lies, mm; negative outside."""
        u, v = self.place.local(x, y)
        angle = np.arctan2(v, u)
        ripple = sum(a * np.sin(k * angle + p) for k, (a, p) in enumerate(self.waves, start=2))
        return as_map(self.diameter / 2 * (1 + ripple) - np.hypot(u, v))

    def extent(self, x: Any, y: Any) -> Any:
        """Tell where it is."""
        return self.inside(x, y) > 0

    @property
    def sizes(self) -> dict[str, float]:
        """Give its sizes for the record."""
        return {"diameter_mm": self.diameter, "strength": self.strength}


@dataclass(frozen=True)
class Dent:
    """A smooth bowl pressed into the surface: place, diameter and depth, mm."""

    place: Place
    diameter: float
    depth: float

    def radius(self, x: Any, y: Any) -> Any:
        """Give the distance from the centre, 1 at the rim."""
        return np.hypot(x - self.place.x, y - self.place.y) / (self.diameter / 2)

    def drop(self, x: Any, y: Any) -> Any:
        """Give how much lower the surface lies, mm."""
        return self.depth * 0.5 * (1 + np.cos(np.pi * np.minimum(self.radius(x, y), 1)))

    def extent(self, x: Any, y: Any) -> Any:
        """Tell where it is."""
        return self.radius(x, y) < 1

    @property
    def sizes(self) -> dict[str, float]:
        """Give its sizes for the record."""
        return {"diameter_mm": self.diameter, "depth_mm": self.depth}


def draw_dust(rng: np.random.Generator, width: float, height: float, count: float) -> Map:
    """Draw specks of dust: x, y and radius (3, n), mm; about so many."""
    n = int(rng.poisson(count))
    x, y = rng.uniform(-0.5, 0.5, (2, n))
    return as_map([x * width, y * height, rng.uniform(0.08, 0.26, n)])


def draw_smudges(rng: np.random.Generator, width: float, height: float) -> tuple[Smudge, ...]:
    """Draw up to two fingerprints."""
    count = int(rng.choice([0, 1, 2], p=[0.55, 0.33, 0.12]))
    found = []
    for x, y, turn, size, strength in rng.uniform(
        [-1, -1, 0, 3.5, 0.3], [1, 1, 3.1, 5.5, 1], (2, 5)
    ):
        place = Place(float(x * width / 2), float(y * height / 2), float(turn))
        found.append(Smudge(place, float(size), float(strength)))
    return tuple(found[:count])


def window(skin: Skin, x: float, y: float, reach: float) -> tuple[slice, slice]:
    """Give rows and columns of a skin within a reach (mm) of a place."""
    raster = skin.raster
    bounds = []
    for centre, start, count in (
        (y, raster.y, raster.values.shape[0]),
        (x, raster.x, raster.values.shape[1]),
    ):
        first = int(np.floor((centre - reach - start) / raster.pitch))
        last = int(np.ceil((centre + reach - start) / raster.pitch)) + 1
        bounds.append(slice(min(max(first, 0), count), min(max(last, 0), count)))
    return bounds[0], bounds[1]


def piece(skin: Skin, x: float, y: float, reach: float) -> Skin:
    """Give the piece of a skin around a place, as a view: painting it paints the whole."""
    rows, columns = window(skin, x, y, reach)
    raster = skin.raster
    corner = raster.x + columns.start * raster.pitch, raster.y + rows.start * raster.pitch
    return Skin(Raster(*corner, raster.pitch, raster.values[rows, columns]))


def settle_dust(skin: Skin, dust: Map) -> None:
    """Let specks of dust settle on a skin, in place."""
    for x, y, radius in dust.T:
        near = piece(skin, float(x), float(y), 0.6)
        right, down = near.axes
        away = np.hypot(right - x, down - y)
        near.cover(np.clip((radius - away) / near.raster.pitch + 0.5, 0, 1), _DUST)


def touch(skin: Skin, smudges: tuple[Smudge, ...]) -> list[tuple[Skin, Map]]:
    """Give the pieces of a skin that fingers touched, and how greasy each place is, 0–1."""
    found = []
    for smudge in smudges:
        near = piece(skin, smudge.place.x, smudge.place.y, 2.8 * smudge.size)
        u, v = smudge.place.local(*near.axes)
        u, v = u / smudge.size, v / (1.4 * smudge.size)
        ridges = 0.6 + 0.4 * np.sin(2 * np.pi * smudge.size / _RIDGE_MM * np.hypot(u, v + 0.5))
        found.append((near, as_map(smudge.strength * np.exp(-((u * u + v * v) ** 2)) * ridges)))
    return found


def scratch_skin(skin: Skin, scratch: Scratch, shard: Finish) -> None:
    """Scratch a skin, in place: a groove with bright and dark flanks and a torn bottom.

    Parameters
    ----------
    skin : Skin
    scratch : Scratch
    shard : Finish
        Of the torn material.
    """
    near = piece(skin, scratch.place.x, scratch.place.y, scratch.length / 2 + _HAIRLINE_REACH)
    pitch = near.raster.pitch
    across, beyond = scratch.distance(*near.axes)
    half = max(scratch.width / 2, pitch)
    share = min(scratch.width / 2 / half, 1.0)
    fade = np.clip(1 - beyond / _HAIRLINE_REACH, 0, 1) * (np.abs(across) < 2 * half)
    profile = np.sin(np.clip(across / (2 * half), -1, 1) * np.pi) * fade
    steep = 2 * scratch.depth / scratch.width * share * profile
    c, s = np.float32(cos(scratch.place.turn)), np.float32(sin(scratch.place.turn))
    near.channel("slope_x")[...] -= as_map(s * steep)
    near.channel("slope_y")[...] += as_map(c * steep)
    torn = share * fade * np.clip(1 - np.abs(across) / (1.5 * half), 0, 1)
    near.cover(torn, shard)
    near.channel("sheen")[...] *= as_map(1 - torn)


def film(skin: Skin, stain: Stain) -> tuple[Skin, Map]:
    """Give the piece of a skin that a stain wets, and how thick it dried there, 0–1."""
    near = piece(skin, stain.place.x, stain.place.y, stain.diameter)
    edge = stain.inside(*near.axes)
    dried = 0.6 + 0.4 * np.exp(-((edge / 1.0) ** 2))
    return near, as_map(np.clip(edge / 0.8, 0, 1) * dried * stain.strength)


def unevenness(seed: int, shape: tuple[int, int], pitch: float, length: float) -> Map:
    """Make a smooth random field.

    Parameters
    ----------
    seed : int
    shape : (int, int)
        Rows and columns.
    pitch, length : float, mm
        Of the grid; over which the field changes.

    Returns
    -------
    Map (y, x), 1
        Mean about 0, standard deviation about 1.
    """
    rows, columns = (int(np.ceil(count * pitch / length)) + 4 for count in shape)
    coarse = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    matrix = np.float64(pitch / length)
    fine = ndimage.affine_transform(
        coarse, [matrix, matrix], offset=1.5, output_shape=shape, order=2, prefilter=False
    )
    return as_map(fine * 1.6)


@lru_cache(maxsize=32)
def lettering(lines: tuple[str, ...], width: float, height: float) -> Map:
    """Draw lines of text that fill a field.

    Parameters
    ----------
    lines : tuple of str
    width, height : float, mm

    Returns
    -------
    Map (y, x), 1
        1 on a letter, `INK_PER_MM` values a millimetre.
    """
    zoom = 4 * INK_PER_MM
    image = Image.new("L", (round(width * zoom), round(height * zoom)), 0)
    draw = ImageDraw.Draw(image)
    tall = height / len(lines)
    for number, text in enumerate(lines):
        font = ImageFont.load_default(0.92 * tall * zoom)
        wide = draw.textlength(text, font=font) / zoom
        if wide > width:
            font = ImageFont.load_default(0.92 * tall * zoom * width / wide)
        draw.text((0, (number - 0.06) * tall * zoom), text, 255, font, stroke_width=0.05 * zoom)
    ink = as_map(np.asarray(image.reduce(4)) / 255)
    ink.flags.writeable = False
    return ink


def printed(ink: Map, u: Map, v: Map) -> Map:
    """Look artwork up at coordinates (mm) about its centre; 0 beside it."""
    rows, columns = ink.shape
    places = [v * INK_PER_MM + (rows - 1) / 2, u * INK_PER_MM + (columns - 1) / 2]
    return as_map(ndimage.map_coordinates(ink, places, order=1, mode="constant"))
