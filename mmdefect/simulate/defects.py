"""The defects, applied to the part and never to a picture.

* A defect of assembly changes the `Panel` (which fittings are where), a defect of the material
  changes its `Truth` maps. No sensor knows that there are defects, so what each one sees follows
  from its physics.
* Sizes are drawn per part, from barely visible to clear, and recorded.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, sin

import numpy as np

from mmdefect.simulate.fittings import HEAD_MM, LABEL_MM, Placement
from mmdefect.simulate.part import (
    CORNER_MM,
    LABEL,
    PANEL_MM,
    RIB_HALF,
    RIBS,
    Panel,
    box_distance,
)
from mmdefect.simulate.truth import Delamination, Map, Mask, Truth, as_map


@dataclass(frozen=True)
class Defect:
    """One defect, drawn for one panel.

    Parameters
    ----------
    sizes : dict of str to float
        What was drawn; the unit ends the name.
    panel : Panel
        The panel as it was assembled.
    alter : Callable
        Changes the maps of that panel.
    extent : Callable
        Returns where the defect is, on the fine grid.
    """

    sizes: dict[str, float]
    panel: Panel
    alter: Callable[[Truth], Truth]
    extent: Callable[[Truth], Mask]


def _unaltered(truth: Truth) -> Truth:
    """Return the maps as they are."""
    return truth


def _clearance(x: Map, y: Map) -> Map:
    """Return the distance (mm) from each place to the next rib, head, label or edge."""
    half = PANEL_MM / 2
    free = -box_distance(x, y, (half, half), CORNER_MM)
    for rib_x, rib_y in RIBS:
        free = np.minimum(free, box_distance(x - rib_x, y - rib_y, RIB_HALF, RIB_HALF[0]))
    half_label = (LABEL_MM[0] / 2, LABEL_MM[1] / 2)
    return as_map(np.minimum(free, box_distance(x - LABEL[0], y - LABEL[1], half_label, 0.0)))


def _draw_place(panel: Panel, radius: float, rng: np.random.Generator) -> tuple[float, float]:
    """Draw a place on the bare skin with `radius` (mm) around it free, or the freest of many."""
    x, y = as_map(rng.uniform(-PANEL_MM / 2, PANEL_MM / 2, (2, 256)))
    free = _clearance(x, y)
    for head in panel.fasteners:
        free = np.minimum(free, np.hypot(x - head.x, y - head.y) - HEAD_MM)
    enough = np.flatnonzero(free > radius + 1)
    chosen = int(enough[0]) if enough.size else int(np.argmax(free))
    return float(x[chosen]), float(y[chosen])


def _stain(rng: np.random.Generator, panel: Panel) -> Defect:
    """Draw a film of dried residue: a haze, thicker at its uneven rim, that dulls fibres."""
    diameter = float(rng.uniform(5, 14))
    strength = float(rng.uniform(0.20, 1.0))
    waves = rng.normal(0, 0.12, (2, 3))
    x, y = _draw_place(panel, diameter / 2, rng)

    def inside(truth: Truth) -> Map:
        u, v = truth.x - x, truth.y - y
        angle = np.arctan2(v, u)
        turns = [np.sin(k * angle + 9 * p) * a for k, (a, p) in enumerate(waves.T, start=2)]
        edge = diameter / 2 * (1 + sum(turns))
        return as_map(edge - np.hypot(u, v))

    def alter(truth: Truth) -> Truth:
        edge = inside(truth)
        dried = 0.65 + 0.35 * np.exp(-((edge / 1.2) ** 2))
        cover = np.clip(edge / 1.0 + 0.5, 0, 1) * dried * strength
        haze = as_map([0.085, 0.072, 0.048])[:, None, None]
        return replace(
            truth,
            albedo=as_map(truth.albedo + cover * haze),
            sheen=as_map(truth.sheen * (1 - 0.7 * cover)),
            absorptivity=as_map(truth.absorptivity - 0.001 * cover),
        )

    sizes = {"diameter_mm": diameter, "strength": strength}
    return Defect(sizes, panel, alter, lambda truth: inside(truth) > 0)


def _scratch(rng: np.random.Generator, panel: Panel) -> Defect:
    """Draw a hairline scratch, slightly curved: whitened resin that no other sensor resolves."""
    length = float(rng.uniform(7, 26))
    width = float(rng.uniform(0.04, 0.16))
    turn, bend = float(rng.uniform(0, np.pi)), float(rng.uniform(-0.012, 0.012))
    x, y = _draw_place(panel, 3.0, rng)

    def distance(truth: Truth) -> Map:
        u = cos(turn) * (truth.x - x) + sin(turn) * (truth.y - y)
        v = cos(turn) * (truth.y - y) - sin(turn) * (truth.x - x)
        beyond = np.maximum(np.abs(u) - length / 2, 0)
        return as_map(np.hypot(v - bend * u * u, 3 * beyond))

    def alter(truth: Truth) -> Truth:
        fine = truth.grid.fine
        share = min(width / fine, 1.0)
        cover = share * np.clip(1 - distance(truth) / max(fine, width / 2), 0, 1)
        cover = cover * (1 - truth.metal)
        return replace(
            truth,
            albedo=as_map(truth.albedo + cover * (0.30 - truth.albedo)),
            height=as_map(truth.height - 0.15 * width * cover),
        )

    sizes = {"length_mm": length, "width_mm": width}
    return Defect(sizes, panel, alter, lambda truth: distance(truth) <= truth.grid.pitch / 2)


def _dent(rng: np.random.Generator, panel: Panel) -> Defect:
    """Draw a smooth dent under an unbroken surface."""
    diameter = float(rng.uniform(6, 14))
    depth = float(np.clip(diameter * rng.uniform(0.022, 0.038), 0.15, 0.5))
    x, y = _draw_place(panel, diameter / 2, rng)

    def radius(truth: Truth) -> Map:
        return as_map(np.hypot(truth.x - x, truth.y - y) / (diameter / 2))

    def alter(truth: Truth) -> Truth:
        bowl = 0.5 * (1 + np.cos(np.pi * np.minimum(radius(truth), 1)))
        return replace(truth, height=as_map(truth.height - depth * bowl))

    sizes = {"diameter_mm": diameter, "depth_mm": depth}
    return Defect(sizes, panel, alter, lambda truth: radius(truth) < 1)


def _delamination(rng: np.random.Generator, panel: Panel) -> Defect:
    """Draw a thin gap between two plies: nothing shows at the surface but heat."""
    diameter = float(rng.uniform(4, 14))
    depth = float(rng.uniform(0.5, 1.5))
    gap = float(np.exp(rng.uniform(np.log(0.008), np.log(0.060))))
    aspect = float(np.exp(rng.uniform(-0.25, 0.25)))
    x, y = _draw_place(panel, diameter / 2, rng)
    hidden = Delamination(x, y, diameter, depth, gap, aspect)

    def alter(truth: Truth) -> Truth:
        return replace(truth, delaminations=(*truth.delaminations, hidden))

    def extent(truth: Truth) -> Mask:
        return hidden.radius_map(truth.x, truth.y) < diameter / 2

    sizes = {"diameter_mm": diameter, "depth_mm": depth, "gap_mm": gap}
    return Defect(sizes, panel, alter, extent)


def _missing_fastener(rng: np.random.Generator, panel: Panel) -> Defect:
    """Take one fastener out of its hole."""
    chosen = int(rng.integers(len(panel.fasteners)))
    gone = panel.fasteners[chosen]
    left = panel.fasteners[:chosen] + panel.fasteners[chosen + 1 :]

    def extent(truth: Truth) -> Mask:
        found: Mask = np.hypot(truth.x - gone.x, truth.y - gone.y) < HEAD_MM
        return found

    assembled = replace(panel, fasteners=left, empty=(gone,))
    return Defect({"diameter_mm": 2 * HEAD_MM}, assembled, _unaltered, extent)


def _misplaced_label(rng: np.random.Generator, panel: Panel) -> Defect:
    """Print the label in the wrong place; the extent is where it is and where it should be."""
    away = float(rng.uniform(1.2, 5.0))
    angle, turn = float(rng.uniform(0, 2 * np.pi)), float(np.deg2rad(rng.uniform(-6, 6)))
    right = panel.label
    wrong = Placement(
        right.x + 0.8 * away * cos(angle), right.y + away * sin(angle), right.turn + turn
    )

    def extent(truth: Truth) -> Mask:
        found = np.zeros(truth.x.shape, np.bool_)
        for place in (right, wrong):
            x, y = truth.x - place.x, truth.y - place.y
            u = cos(place.turn) * x + sin(place.turn) * y
            v = cos(place.turn) * y - sin(place.turn) * x
            found |= (np.abs(u) < LABEL_MM[0] / 2) & (np.abs(v) < LABEL_MM[1] / 2)
        return found

    shift = float(np.hypot(wrong.x - right.x, wrong.y - right.y))
    sizes = {"shift_mm": shift, "turn_deg": float(np.rad2deg(turn))}
    return Defect(sizes, replace(panel, label=wrong), _unaltered, extent)


DEFECTS: dict[str, Callable[[np.random.Generator, Panel], Defect]] = {
    "delamination": _delamination,
    "dent": _dent,
    "misplaced_label": _misplaced_label,
    "missing_fastener": _missing_fastener,
    "scratch": _scratch,
    "stain": _stain,
}
