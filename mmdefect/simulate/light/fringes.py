"""The projector's patterns on a simulated part, as one or two cameras photograph them.

* What a pixel of the projector shows goes through the projector's gamma, its lens (defocus, in
  pixels of the projector) and its leak of light in the dark; it arrives at a place by the angle and
  the square of the distance, and comes back by the surface's Lambert and microfacet reflectance.
* The room's light comes back as well. The camera blurs, multiplies by its exposure, adds noise
  of two grey levels and rounds to 8 bits.
* Four rays a pixel: at steps in depth and at shadows' edges a pixel sees two places at once.
* Light by way of other surfaces is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmdefect.registration import BrownConrady, Camera, Plane, Pose, Rig
from mmdefect.simulate.light.facets import Facets
from mmdefect.simulate.light.surface import Looks
from mmdefect.simulate.raster import Map, Mask, as_map
from mmdefect.simulate.station import DISTANCE_MM
from mmdefect.simulate.tracer import Hits, World
from mmdefect.structured.codes import AXES, Code
from mmdefect.structured.patterns import lines
from mmdefect.structured.stack import Stack, write_stack

FOCAL_PX = 1660.0
REACH_MM = 500.0
BASELINE_MM = 150.0
PROJECTOR_SIZE = (1280, 800)
_SPLIT = 2
_FLATTEST = float(np.cos(np.deg2rad(75.0)))


@dataclass(frozen=True)
class Projection:
    """How patterns are shown and photographed.

    Parameters
    ----------
    gamma : float, 1
        Of the projector: light is counts to this power.
    defocus : float, px
        Standard deviation of the projector's blur, in its pixels.
    blur : float, px
        Of the camera's.
    leak : float, 1
        Light of a black pixel.
    ambient : float, 1
        The room's light on the part; 1 is the projector's.
    gain : float, counts
        Of a white surface that faces the projector, at an exposure of 1.
    noise : float, counts
        Standard deviation of a pixel.
    """

    gamma: float = 2.2
    defocus: float = 1.2
    blur: float = 0.4
    leak: float = 0.002
    ambient: float = 0.08
    gain: float = 260.0
    noise: float = 2.0


@dataclass(frozen=True)
class Scenery:
    """What a camera's rays see of the projector.

    Parameters
    ----------
    places : Map (2, ray)
        Column and row of the projector, px; four rays a pixel, the pixel first.
    direct : Map (ray,), 1
        The projector's light that comes back where it shows white; 0 in shadow.
    room : Map (ray,), 1
        What comes back of even light.
    depth : Map (y, x), mm
        Along the camera's axis, of the pixel's middle; NaN where there is nothing.
    reached : Mask (y, x)
        Whether the pixel's middle sees the projector.
    lit : Mask (y, x)
        Whether it does so at 75° to either's line of sight at most.
    part : Mask (y, x)
        Whether the pixel's middle sees anything but the fixture.
    """

    places: Map
    direct: Map
    room: Map
    depth: Map
    reached: Mask
    lit: Mask
    part: Mask


def light_rig(size: tuple[int, int] = (480, 640), *, lenses: bool = True) -> Rig:
    """Set up a camera, a projector and a second camera above the simulated station's part.

    Parameters
    ----------
    size : (int, int), px
        Rows and columns of the cameras. The focal length stays, so that less of the part is seen.
    lenses : bool
        Whether they distort.

    Returns
    -------
    Rig
        With ``points``, which is the reference, ``projector`` and ``second``; 500 mm from the
        part, focal lengths 1660 px, the projector 150 mm to the right of the camera, the second
        camera 150 mm to its left; all look at the middle of the part.
    """
    rows, columns = size
    bent = (BrownConrady(-0.08, 0.03, 3e-4, -2e-4), BrownConrady(-0.05, 0.02, -2e-4, 2e-4))
    lens, show = bent if lenses else (BrownConrady(), BrownConrady())
    wide, high = PROJECTOR_SIZE
    cameras = {
        "points": _placed(0.0, columns, rows, lens),
        "projector": _placed(BASELINE_MM, wide, high, show),
        "second": _placed(-BASELINE_MM, columns, rows, lens),
    }
    surface = Plane(np.array([0.0, 0.0, DISTANCE_MM]), np.array([0.0, 0.0, -1.0]))
    return Rig("simulated structured light", "points", cameras, surface)


def _placed(right: float, columns: int, rows: int, lens: BrownConrady) -> Camera:
    """Place a camera beside the first one's place, turned to the middle of the part."""
    ahead = np.array([-right, 0.0, REACH_MM]) / np.hypot(right, REACH_MM)
    across = np.array([ahead[2], 0.0, -ahead[0]])
    rotation = np.stack([across, [0.0, 1.0, 0.0], ahead])
    place = np.array([right, 0.0, DISTANCE_MM - REACH_MM])
    middle = (columns - 1) / 2 + 3.3, (rows - 1) / 2 - 2.1
    return Camera(
        rows,
        columns,
        FOCAL_PX,
        FOCAL_PX,
        *middle,
        lens=lens,
        pose=Pose(rotation, -rotation @ place),
    )


def light_up(world: World, camera: Camera, projector: Camera) -> Scenery:
    """Follow a camera's rays to the part, and the projector's light to where they meet it.

    Parameters
    ----------
    world : World
    camera, projector : Camera

    Returns
    -------
    Scenery
    """
    shape = camera.height, camera.width
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    offsets = (np.arange(_SPLIT) + 0.5) / _SPLIT - 0.5
    grid = np.stack(
        [np.stack([x + right, y + down], axis=-1) for down in offsets for right in offsets]
    )
    _, places, direct, room, _ = _arriving(world, camera, projector, grid.reshape(-1, 2))
    middle = np.stack([x, y], axis=-1).reshape(-1, 2)
    hits, _, light, _, flat = _arriving(world, camera, projector, middle)
    depth = camera.pose.into(hits.points.astype(np.float64))[:, 2]
    names = np.array([*(body.name for body in world.part.bodies), "fixture"])
    truths = light > 0, (light > 0) & ~flat, names[hits.body] != "fixture"
    return Scenery(
        places, direct, room, as_map(depth.reshape(shape)), *(t.reshape(shape) for t in truths)
    )


def _arriving(
    world: World, camera: Camera, projector: Camera, pixels: NDArray[np.float64]
) -> tuple[Hits, Map, Map, Map, Mask]:
    """Give hits (n), places (2, n), light of projector and room (n,), who is seen flatly (n,)."""
    hits = world.cast(as_map(camera.centre), as_map(camera.directions(pixels)))
    looks = Looks(world.part, REACH_MM / camera.fx / _SPLIT)
    facets = Facets.met(world, looks, hits, camera.centre)
    beam = facets.beam(projector.centre)
    with np.errstate(invalid="ignore"):
        places = as_map(projector.project(hits.points.astype(np.float64))).T
        inside = (places[0] >= 0) & (places[0] <= projector.width - 1)
        inside &= (places[1] >= 0) & (places[1] <= projector.height - 1)
    seen = inside & hits.found & ~world.hidden(hits, projector.centre)
    reach = np.linalg.norm(projector.centre - np.array([0.0, 0.0, DISTANCE_MM]))
    scattered = facets.diffuse().mean(axis=0)
    shine = (facets.fresnel(beam) * facets.gloss(beam)).mean(axis=0) + facets.sheen(beam)
    arriving = beam.facing * (np.float32(reach) / beam.distance) ** 2
    direct = np.where(seen, (scattered + shine) * arriving, 0)
    viewed = (facets.normal * facets.to_eye).sum(axis=0)
    flat = ~(np.minimum(viewed, beam.facing) > _FLATTEST)
    room = np.where(hits.found, scattered + facets.reflectance.mean(axis=0), 0)
    return hits, np.nan_to_num(places), as_map(direct), as_map(room), flat


def photograph(
    scenery: Scenery, code: Code, show: Projection, exposure: float, rng: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """Photograph every pattern of a code.

    Parameters
    ----------
    scenery : Scenery
    code : Code
    show : Projection
    exposure : float, 1
    rng : Generator
        Of the noise.

    Yields
    ------
    array (y, x), uint8
    """
    shape = scenery.depth.shape
    for group in code.groups():
        for line in lines(code, group):
            light = _shown(line, code, show)
            if group.kind == "reference":
                pattern: Any = light[0]
            else:
                place = scenery.places[AXES.index(group.axis)]
                pattern = np.interp(place, np.arange(len(light)), light)
            seen = scenery.direct * pattern + np.float32(show.ambient) * scenery.room
            picture = ndimage.gaussian_filter(seen.reshape(-1, *shape).mean(axis=0), show.blur)
            counts = exposure * show.gain * picture + show.noise * rng.standard_normal(shape)
            yield np.clip(np.rint(counts), 0, 255).astype(np.uint8)


def _shown(line: NDArray[np.float64], code: Code, show: Projection) -> NDArray[np.float64]:
    """Give the light of a line of the projector, from what its pattern asks for."""
    counts = np.rint(255 * line ** (1 / code.gamma))
    light = show.leak + (1 - show.leak) * (counts / 255) ** show.gamma
    blurred: NDArray[np.float64] = ndimage.gaussian_filter1d(light, show.defocus, mode="nearest")
    return blurred


def photograph_stack(
    folder: str | Path,
    scenery: Scenery,
    code: Code,
    show: Projection | None = None,
    *,
    exposures: Sequence[float] = (1.0,),
    seed: int = 0,
) -> Stack:
    """Photograph a stack and write it: frames and description.

    Parameters
    ----------
    folder : str or Path
        Made when it is not there.
    scenery : Scenery
    code : Code
    show : Projection, optional
    exposures : sequence of float, 1
    seed : int

    Returns
    -------
    Stack
    """
    from PIL import Image

    folder, rng, names = Path(folder), np.random.default_rng(seed), []
    folder.mkdir(parents=True, exist_ok=True)
    for number, exposure in enumerate(exposures):
        frames = photograph(scenery, code, show or Projection(), exposure, rng)
        names.append([f"{number}-{place:03d}.png" for place in range(len(code))])
        for name, frame in zip(names[-1], frames, strict=True):
            Image.fromarray(frame).save(folder / name, compress_level=1)
    return write_stack(folder, code, names)
