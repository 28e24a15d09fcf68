"""The infrared camera: warm parts, seen by a camera that knows no emissivity.

* A flash or a part's own power makes it warm (`flash`, `board`); the camera
  gets radiance, the surface's own and what it mirrors (`mirror`), and tells the
  temperature of a surface of emissivity 0.90, as its menu says.
* Lens blur, a dark ring that comes and goes with the camera's own warmth (narcissus), noise and
  bad pixels are the camera's.
* One frame is one moment of the sequence: the same steps, whatever else is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from mmdefect.registration import Camera
from mmdefect.simulate.heat.board import BoardHeat
from mmdefect.simulate.heat.flash import FlashHeat
from mmdefect.simulate.heat.mirror import mirror_of, surroundings, with_neighbours
from mmdefect.simulate.heat.radiance import apparent, radiance
from mmdefect.simulate.heat.view import View, averaged, look
from mmdefect.simulate.raster import Map, Mask, Rendering, as_map
from mmdefect.simulate.tracer import World

MOMENTS = {"flash": 2.0, "powered": 120.0}
NETD = 0.040
EMISSIVITY = 0.90
AMBIENT = 295.0
LENS_BLUR_PX = 0.55
SUPPLY_SHARE = 1 / 3
BAD_SHARE = 1 / 5000

PATTERN = (0.03, -0.02, -0.06, -0.04)
PATTERN_DRIFT = (0.02, 0.02, 0.015, 0.015)


@dataclass(frozen=True)
class Heating:
    """Drift of excitation, surroundings and camera from capture to capture.

    Parameters
    ----------
    power : float, 1
        Of the flash, about 1; the supply of a powered board drifts a third as much.
    ambient : float, K
        Temperature of part, fixture and room before.
    hood : float, K
        How much warmer the station's hood is, which metal mirrors.
    pattern : Map (4,), 1
        Unevenness of the flash at the edges of the field: slope along x and y, fall-off along x
        and y.
    draught : float, 1
        How much more heat than usual the air takes.
    narcissus : float, K
        What the camera's own warmth adds at the frame's corners.
    """

    power: float
    ambient: float
    hood: float
    pattern: Map
    draught: float
    narcissus: float


def draw_heating(rng: np.random.Generator) -> Heating:
    """Draw power (±5 %), ambient (±2 K), hood, pattern, draught (±4 %) and narcissus (±0.15 K)."""
    return Heating(
        power=float(rng.uniform(0.95, 1.05)),
        ambient=AMBIENT + float(rng.uniform(-2, 2)),
        hood=float(rng.uniform(1.0, 2.0)),
        pattern=as_map(rng.normal(PATTERN, PATTERN_DRIFT)),
        draught=float(rng.uniform(0.96, 1.04)),
        narcissus=float(rng.uniform(-0.15, 0.15)),
    )


def draw_bad_pixels(camera: Camera, rng: np.random.Generator) -> Mask:
    """Draw the camera's dead pixels: a share of single ones and one pair (y, x)."""
    bad = np.zeros((camera.height, camera.width), np.bool_)
    count = max(2, round(BAD_SHARE * bad.size))
    rows = rng.integers(0, camera.height, count)
    columns = rng.integers(0, camera.width - 1, count)
    bad[rows, columns] = True
    bad[rows[0], columns[0] + 1] = True
    return bad


def render_infrared(
    world: World, camera: Camera, heating: Heating, seconds: float | None = None
) -> Rendering:
    """Render one thermogram.

    Parameters
    ----------
    world : World
        The part.
    camera : Camera
    heating : Heating
        This capture's excitation and surroundings.
    seconds : float, s, optional
        Since the flash or since the power came on; 2 and 120 when left out.

    Returns
    -------
    Rendering (y, x), K
        Temperature as the camera reports it for emissivity 0.90; the noise is the NETD.
    """
    moment = MOMENTS[world.part.excitation] if seconds is None else seconds
    kelvin = render_sequence(world, camera, heating, [moment])[0]
    return Rendering(kelvin, np.full(kelvin.shape, NETD, np.float32))


def render_sequence(world: World, camera: Camera, heating: Heating, times: Sequence[float]) -> Map:
    """Render a sequence of thermograms without noise.

    Parameters
    ----------
    world : World
        The part.
    camera : Camera
    heating : Heating
    times : sequence of float, s
        Since the flash or since the power came on, positive and rising.

    Returns
    -------
    Map (time, y, x), K
        Each equals the frame that `render_infrared` gives at its moment.
    """
    view = look(world, camera)
    mirror = mirror_of(view)
    flashed = world.part.excitation == "flash"
    if flashed:
        flash = FlashHeat(view, heating.power, heating.pattern)
        rise, beside = flash.rise(times), flash.rise_elsewhere(mirror.sight, times)
    else:
        supply = 1 + SUPPLY_SHARE * (heating.power - 1)
        board = BoardHeat(world.part, supply, heating.draught)
        rise, beside = (board.rise(s.hits, times) for s in (view.sight, mirror.sight))
    frames = []
    for moment, seconds in enumerate(times):
        around = surroundings(view, camera, heating.hood, seconds if flashed else None)
        around = with_neighbours(around, mirror, beside[moment], heating.hood)
        frames.append(_frame(view, camera, heating, rise[moment], around))
    return np.stack(frames)


def _frame(view: View, camera: Camera, heating: Heating, rise: Map, around: Map) -> Map:
    """Bring the warmth of every ray (n,), K, to what the camera tells (y, x), K."""
    emissivity = view.sight.emissivity
    seen = emissivity * radiance(heating.ambient + rise)
    seen += (1 - emissivity) * radiance(heating.ambient + around)
    blurred = ndimage.gaussian_filter(averaged(view, as_map(seen)), LENS_BLUR_PX, mode="nearest")
    kelvin = apparent(blurred, heating.ambient, EMISSIVITY)
    return as_map(kelvin + heating.narcissus * _off_centre(camera))


def _off_centre(camera: Camera) -> Any:
    """Give the squared distance from the frame's middle (y, x), 1 at its corners."""
    down, across = (np.linspace(-1, 1, side) ** 2 for side in (camera.height, camera.width))
    return (down[:, None] + across[None, :]) / 2


def expose_infrared(rendering: Rendering, bad: Mask, rng: np.random.Generator) -> Map:
    """Add noise; bad pixels become NaN (y, x), K."""
    noise = rng.standard_normal(rendering.signal.shape, dtype=np.float32)
    kelvin = rendering.signal + rendering.noise * noise
    kelvin[bad] = np.nan
    return as_map(kelvin)
