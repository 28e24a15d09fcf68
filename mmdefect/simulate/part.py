"""The good panel: geometry, materials, and how one panel differs from the next.

* A `Panel` holds the handful of numbers in which good panels differ (pose, tolerances, weave,
  finish, dust, fingerprints); `build` turns it into maps. A defect of assembly (no fastener, a
  label in the wrong place) changes the numbers, a defect of the surface changes the maps.
* Every draw happens in `draw_panel`, in a fixed order, so that a panel with and without its
  defect shares all its nuisance.
"""

from dataclasses import dataclass
from math import cos, sin

import numpy as np

from mmdefect.simulate.fittings import Placement, draw_label_ink, mount, print_label
from mmdefect.simulate.truth import Grid, Map, Mask, Truth, as_map
from mmdefect.simulate.weave import Weave, draw_weave, twill

PANEL_MM = 92.0
CORNER_MM = 4.0
FIXTURE_MM = -6.0

RIBS = ((-22.0, 0.0), (22.0, 0.0))
RIB_HALF = (4.5, 37.0)
RIB_MM = 2.4
FLANK_MM = 2.2

FASTENERS = (
    *((x, y) for x in (-39.0, 39.0) for y in (-38.0, 0.0, 38.0)),
    *((x, y) for x in (-22.0, 22.0) for y in (-27.0, 27.0)),
)
LABEL = (0.0, 27.0)


@dataclass(frozen=True)
class Smudge:
    """A fingerprint: where it lies, how large and how greasy it is."""

    x: float
    y: float
    turn: float
    size: float
    strength: float


@dataclass(frozen=True)
class Panel:
    """One panel on its fixture.

    Parameters
    ----------
    shift : tuple of float, mm
        Offset of the panel on the fixture.
    turn : float, rad
        Angle of the panel on the fixture.
    bow : Map (5,), mm
        Tilt along x and y, bow along x and y, twist; height at the panel's edge.
    rib_shift, rib_height : Map
        Deviation of each rib's place along x and of its height, mm.
    fasteners : tuple of Placement
        Heads, with the angle of their sockets.
    empty : tuple of Placement
        Holes that lack their fastener.
    label : Placement
        Where the label was printed.
    serial : int
        Number on the label.
    weave, tone, finish
        The cloth; overall reflectance and gloss, relative.
    smudges, dust
        Fingerprints; x, y and radius (mm) of each speck (3, n).
    """

    shift: tuple[float, float]
    turn: float
    bow: Map
    rib_shift: Map
    rib_height: Map
    fasteners: tuple[Placement, ...]
    empty: tuple[Placement, ...]
    label: Placement
    serial: int
    weave: Weave
    tone: float
    finish: float
    smudges: tuple[Smudge, ...]
    dust: Map

    def to_part(self, x: Map, y: Map) -> tuple[Map, Map]:
        """Bring positions on the grid (mm) into the panel's own coordinates."""
        c, s = cos(self.turn), sin(self.turn)
        x, y = x - self.shift[0], y - self.shift[1]
        return as_map(c * x + s * y), as_map(c * y - s * x)

    def to_grid(self, x: float, y: float) -> tuple[float, float]:
        """Bring one position in the panel's coordinates (mm) onto the grid."""
        c, s = cos(self.turn), sin(self.turn)
        return c * x - s * y + self.shift[0], c * y + s * x + self.shift[1]


def _draw_smudges(rng: np.random.Generator) -> tuple[Smudge, ...]:
    """Draw up to two fingerprints."""
    count = int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1]))
    rows = rng.uniform([-40, -40, 0, 3.5, 0.3], [40, 40, np.pi, 5.5, 1.0], (2, 5))
    return tuple(Smudge(*(float(v) for v in row)) for row in rows[:count])


def _draw_dust(rng: np.random.Generator) -> Map:
    """Draw the specks of dust: x, y and radius in mm."""
    count = int(rng.poisson(9))
    x, y = rng.uniform(-45, 45, (2, count))
    return as_map([x, y, rng.uniform(0.08, 0.24, count)])


def draw_panel(rng: np.random.Generator) -> Panel:
    """Draw a good panel.

    Pose jitters by 0.5 mm and 1°, features keep tolerances of 0.05–0.1 mm, the label one of
    0.25 mm and 0.7°.
    """
    spots = np.asarray(FASTENERS) + rng.normal(0, 0.05, (len(FASTENERS), 2))
    sockets = rng.uniform(0, np.pi / 3, len(FASTENERS))
    label = rng.normal(0, [0.25, 0.25, np.deg2rad(0.7)])
    shift = rng.uniform(-0.5, 0.5, 2)
    return Panel(
        shift=(float(shift[0]), float(shift[1])),
        turn=float(np.deg2rad(rng.uniform(-1, 1))),
        bow=as_map(rng.normal(0, [0.04, 0.04, 0.07, 0.07, 0.05])),
        rib_shift=as_map(rng.normal(0, 0.07, len(RIBS))),
        rib_height=as_map(rng.normal(0, 0.04, len(RIBS))),
        fasteners=tuple(
            Placement(float(x), float(y), float(turn))
            for (x, y), turn in zip(spots, sockets, strict=True)
        ),
        empty=(),
        label=Placement(LABEL[0] + float(label[0]), LABEL[1] + float(label[1]), float(label[2])),
        serial=int(rng.integers(1000, 10000)),
        weave=draw_weave(rng),
        tone=float(rng.normal(1, 0.04)),
        finish=float(rng.uniform(0.75, 1.25)),
        smudges=_draw_smudges(rng),
        dust=_draw_dust(rng),
    )


def box_distance(x: Map, y: Map, half: tuple[float, float], corner: float) -> Map:
    """Return the signed distance (mm) to a rounded box around the origin, negative inside."""
    across, down = np.abs(x) - (half[0] - corner), np.abs(y) - (half[1] - corner)
    outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
    return as_map(outside + np.minimum(np.maximum(across, down), 0) - corner)


def _raise_ribs(panel: Panel, x: Map, y: Map) -> tuple[Map, Mask, Map]:
    """Return the ribs' height (mm), where they are, and the fillet of adhesive around them."""
    height = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    on_rib = np.zeros(height.shape, np.bool_)
    fillet = np.zeros_like(height)
    for (at, _), aside, taller in zip(RIBS, panel.rib_shift, panel.rib_height, strict=True):
        distance = box_distance(x - as_map(at + aside), y, RIB_HALF, RIB_HALF[0])
        rise = np.clip(0.5 - distance / FLANK_MM, 0, 1)
        height += (RIB_MM + taller) * rise * rise * (3 - 2 * rise)
        on_rib |= distance < 0
        fillet += np.clip(1.4 - np.abs(distance) / (FLANK_MM / 2), 0, 1)
    return height, on_rib, fillet


def _bow(panel: Panel, x: Map, y: Map) -> Map:
    """Return the smooth deviation of the whole panel from flat, mm."""
    u, v = x / (PANEL_MM / 2), y / (PANEL_MM / 2)
    tilt_x, tilt_y, bow_x, bow_y, twist = panel.bow
    return as_map(tilt_x * u + tilt_y * v + bow_x * u * u + bow_y * v * v + twist * u * v)


def _lay_cloth(panel: Panel, x: Map, y: Map, on_rib: Mask) -> tuple[tuple[Map, Map, Map], Map]:
    """Return the fibres' directions on the grid, and their relative reflectance."""
    half = np.sqrt(np.float32(0.5))
    u = np.where(on_rib, (x + y) * half, x)
    v = np.where(on_rib, (y - x) * half, y)
    c, s = cos(panel.weave.turn), sin(panel.weave.turn)
    warp, slope, tone = twill(as_map(c * u + s * v), as_map(c * v - s * u), panel.weave)
    angle = panel.turn + panel.weave.turn + np.pi / 2 * warp + np.pi / 4 * on_rib
    return (as_map(np.cos(angle)), as_map(np.sin(angle)), slope), tone


def _touch(panel: Panel, x: Map, y: Map) -> Map:
    """Return how greasy each spot is: ridges of a fingertip, 0–1."""
    grease = np.zeros(x.shape, np.float32)
    for smudge in panel.smudges:
        c, s = cos(smudge.turn), sin(smudge.turn)
        u = (c * (x - smudge.x) + s * (y - smudge.y)) / smudge.size
        v = (c * (y - smudge.y) - s * (x - smudge.x)) / (1.4 * smudge.size)
        r = u * u + v * v
        near = r < 4
        u, v, r = u[near], v[near], r[near]
        ridges = 0.6 + 0.4 * np.sin(2 * np.pi * smudge.size / 0.9 * np.hypot(u, v + 0.5))
        grease[near] += smudge.strength * np.exp(-(r**2)) * ridges
    return grease


def _scatter_dust(panel: Panel, truth: Truth) -> None:
    """Put specks of pale dust onto the albedo."""
    pitch = truth.grid.fine
    for x, y, radius in panel.dust.T:
        column, row = (int((v + 48.0) / pitch) for v in panel.to_grid(float(x), float(y)))
        cover = min(1.0, np.pi * (float(radius) / pitch) ** 2 / 2)
        spot = truth.albedo[:, max(row, 0) : row + 2, max(column, 0) : column + 1]
        spot += cover * (0.42 - spot)


def build(panel: Panel, grid: Grid) -> Truth:
    """Turn a panel into maps.

    Parameters
    ----------
    panel : Panel
        The numbers of one panel.
    grid : Grid
        The grid to lay it on.

    Returns
    -------
    Truth
        The maps, without any defect of the surface.
    """
    x, y = panel.to_part(*grid.axes())
    ribs, on_rib, fillet = _raise_ribs(panel, x, y)
    beside = box_distance(x, y, (PANEL_MM / 2, PANEL_MM / 2), CORNER_MM) > 0
    fibre, tone = _lay_cloth(panel, x, y, on_rib)
    grease = _touch(panel, x, y)
    skin = np.where(beside, 0, 1).astype(np.float32)
    carbon = tone * (panel.tone * 0.024) * skin + 0.016 * (1 - skin)
    carbon += fillet * (0.060 - carbon)
    truth = Truth(
        grid=grid,
        x=x,
        y=y,
        height=as_map(np.where(beside, FIXTURE_MM, ribs + _bow(panel, x, y))),
        albedo=as_map(carbon * as_map([0.97, 1.0, 1.05])[:, None, None]),
        sheen=as_map(tone * skin * (1 - 0.25 * grease) * (1 - 0.8 * fillet)),
        gloss=as_map(panel.finish * (0.25 + 0.75 * skin) * (1 + 0.5 * grease)),
        fibre=fibre,
        metal=np.zeros_like(skin),
        opening=beside,
        emissivity=as_map(0.90 + 0.004 * (tone - 1) + 0.004 * grease),
        absorptivity=np.full_like(skin, 0.90),
        effusivity=as_map(np.where(on_rib, 0.975, 1.0) * (1 + 0.03 * (tone - 1))),
    )
    print_label(truth, panel.label, draw_label_ink(panel.serial))
    _scatter_dust(panel, truth)
    for place in panel.fasteners:
        mount(truth, place, panel.to_grid(place.x, place.y), present=True)
    for place in panel.empty:
        mount(truth, place, panel.to_grid(place.x, place.y), present=False)
    return truth
