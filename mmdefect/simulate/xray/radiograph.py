"""The X-ray panel: what the beam leaves of itself behind a part, and how a panel counts it.

* The primary beam is weakened by all that lies in its way; scattered rays arrive from all around.
  Single scatter is as strong as the primary beam times the depth (in mean free paths) that it ran
  through: next to nothing behind foils, a third of the signal behind thick parts. It is
  centimetres wide and greys the picture.
* Focal spot and scintillator blur the signal, quanta and electronics make it noisy.
* A file holds raw counts. Pattern, dark level, heel and dead pixels are in them, and leave only
  through the flat and the dark frame, as in the field: transmission is (I − dark)/(flat − dark).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mmdefect.registration import Camera
from mmdefect.simulate.raster import Map, Mask, Rendering, as_map
from mmdefect.simulate.station import PANEL_MM
from mmdefect.simulate.tracer import World
from mmdefect.simulate.xray.rays import primary

QUANTA = 20000.0
COUNTS_PER_QUANTUM = 2.2
ELECTRONIC_COUNTS = 8.0
EXPOSURES = 64
DARK_COUNTS = 320.0
GAIN_SPREAD = 0.03
DEAD_SHARE = 1 / 4000
SATURATED = 65535

SCATTER = 0.14
SCATTER_MM = 14.0
FOCAL_SPOT_MM = 0.4
DETECTOR_BLUR_PX = 1.2
HEEL = 0.06
_PER_FWHM = 1 / 2.355


@dataclass(frozen=True)
class Tube:
    """Drift of the tube since the flat frame was taken.

    Parameters
    ----------
    power : float, 1
        About 1.
    heel : float, 1
        How much more reaches the frame's lower edge than its middle.
    """

    power: float
    heel: float


@dataclass(frozen=True)
class Detector:
    """One panel: its pixels' own ways, which stay the same from exposure to exposure.

    Parameters
    ----------
    quanta : Map (y, x), 1
        Expected in the open beam: falls off with the distance from the source and with the heel.
    gain : Map (y, x), counts per quantum
    dark : Map (y, x), counts
        Level without a beam.
    dead : Mask (y, x)
    stuck : uint16 array (y, x), counts
        What dead pixels always say: 0 or 65535.
    """

    quanta: Map
    gain: Map
    dark: Map
    dead: Mask
    stuck: NDArray[np.uint16]


def draw_tube(rng: np.random.Generator) -> Tube:
    """Draw the tube's drift: ±3 % of its power, ±1 % of the heel's slope."""
    return Tube(float(rng.uniform(0.97, 1.03)), float(rng.uniform(-0.01, 0.01)))


def draw_detector(camera: Camera, rng: np.random.Generator) -> Detector:
    """Draw a panel: gain within ±3 %, dark level with lines and pixels of its own, dead pixels."""
    shape = camera.height, camera.width
    gain = COUNTS_PER_QUANTUM * (1 + rng.uniform(-GAIN_SPREAD, GAIN_SPREAD, shape))
    dark = DARK_COUNTS + rng.normal(0, 6, (1, shape[1])) + rng.normal(0, 4, shape)
    dead = np.zeros(shape, np.bool_)
    count = max(2, round(DEAD_SHARE * dead.size))
    dead.ravel()[rng.choice(dead.size, count, replace=False)] = True
    stuck = np.where(rng.random(shape) < 0.5, 0, SATURATED).astype(np.uint16)
    quanta = as_map(QUANTA * open_beam(camera))
    return Detector(quanta, as_map(gain), as_map(dark), dead, stuck)


def open_beam(camera: Camera) -> Map:
    """Give the open beam's strength on the panel.

    Returns
    -------
    Map (y, x), 1
        1 at most. The inverse square of the distance to the source and the panel's slant make it
        the cosine's third power; on the anode's side, up, the anode itself weakens it (heel).
    """
    x = (np.arange(camera.width) - camera.cx) / camera.fx
    y = (np.arange(camera.height) - camera.cy) / camera.fy
    away = 1 + x[None, :] ** 2 + y[:, None] ** 2
    down = np.linspace(-1, 1, camera.height)[:, None]
    strength = away**-1.5 * (1 + HEEL * down - 0.5 * HEEL * down**2)
    return as_map(strength / strength.max())


def render_xray(world: World, camera: Camera, tube: Tube) -> Rendering:
    """Render a radiograph.

    Parameters
    ----------
    world : World
        The part.
    camera : Camera
        Its centre is the source.
    tube : Tube
        This exposure's drift.

    Returns
    -------
    Rendering (y, x), 1
        Transmission, as a flat frame taken before the drift gives it; the noise is that of this
        exposure's quanta and electronics and of the flat and the dark frame.
    """
    through = primary(world, camera)
    magnification = PANEL_MM / float(camera.pose.into(world.part.pose.translation)[2])
    pitch = PANEL_MM / camera.fx
    spot = FOCAL_SPOT_MM * _PER_FWHM * (magnification - 1) / pitch
    arriving = through + scattered(through, SCATTER_MM / pitch)
    arriving = ndimage.gaussian_filter(
        arriving, float(np.hypot(spot, DETECTOR_BLUR_PX)), mode="nearest", truncate=3.5
    )
    drift = tube.power * (1 + tube.heel * np.linspace(-1, 1, camera.height)[:, None])
    signal = as_map(arriving * drift)
    return Rendering(signal, stated_noise(signal, open_beam(camera)))


def scattered(through: Map, sigma: float) -> Map:
    """Give the scatter behind a part.

    Parameters
    ----------
    through : Map (y, x), 1
        Primary transmission.
    sigma : float, px
        Standard deviation of its spread.

    Returns
    -------
    Map (y, x), 1
        In units of the open beam: at a transmission of 0.8 some 3 % of the primary, at 0.1 a
        third.
    """
    source = as_map(-SCATTER * through * np.log(np.maximum(through, 1e-6)))
    return smoothed(source, sigma)


def smoothed(values: Map, sigma: float) -> Map:
    """Blur (y, x) widely (px): on a coarser grid of block means, because nothing fine is left."""
    block = max(1, int(sigma / 4))
    rows, columns = values.shape
    padded = np.pad(values, [(0, -rows % block), (0, -columns % block)], mode="edge")
    coarse = padded.reshape(padded.shape[0] // block, block, -1, block).mean(axis=(1, 3))
    coarse = ndimage.gaussian_filter(coarse, sigma / block, mode="nearest", truncate=3.0)
    places = [(np.arange(side) + 0.5) / block - 0.5 for side in (rows, columns)]
    grid = np.meshgrid(*places, indexing="ij", sparse=False)
    return as_map(ndimage.map_coordinates(coarse, grid, order=1, mode="nearest"))


def stated_noise(signal: Any, beam: Map) -> Map:
    """Give the standard deviation of a transmission that is made of three noisy frames.

    Parameters
    ----------
    signal : Map (y, x), 1
        Transmission.
    beam : Map (y, x), 1
        Strength of the open beam.

    Returns
    -------
    Map (y, x), 1
        Of this exposure, the flat and the dark frame, the latter two averaged over
        ``EXPOSURES``.
    """
    quanta = QUANTA * beam
    electronic = (ELECTRONIC_COUNTS / COUNTS_PER_QUANTUM) ** 2
    rounding = 1 / (12 * COUNTS_PER_QUANTUM**2)
    exposure = signal * quanta + electronic + rounding
    flat = signal**2 * ((quanta + electronic) / EXPOSURES + rounding)
    dark = (1 - signal) ** 2 * (electronic / EXPOSURES + rounding)
    return as_map(np.sqrt(exposure + flat + dark) / quanta)


def expose_xray(
    rendering: Rendering, detector: Detector, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Count one exposure.

    Parameters
    ----------
    rendering : Rendering (y, x), 1
    detector : Detector
    rng : numpy Generator

    Returns
    -------
    uint16 array (y, x), counts
        As the panel delivers them: not corrected for anything.
    """
    return _counts(detector, rendering.signal, 1, rng)


def flat_frame(detector: Detector, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Give the mean of 64 exposures of the open beam (y, x), counts."""
    return _counts(detector, np.float32(1), EXPOSURES, rng)


def dark_frame(detector: Detector, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Give the mean of 64 exposures without a beam (y, x), counts."""
    return _counts(detector, np.float32(0), EXPOSURES, rng)


def _counts(
    detector: Detector, transmission: Any, exposures: int, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Draw quanta and read-out noise, average, round; dead pixels say what they always say."""
    quanta = _drawn_quanta(exposures * detector.quanta * transmission, rng) / exposures
    noise = rng.standard_normal(detector.dark.shape, dtype=np.float32)
    read = ELECTRONIC_COUNTS / np.sqrt(exposures) * noise
    counts = np.clip(np.rint(detector.dark + detector.gain * quanta + read), 0, SATURATED)
    return np.where(detector.dead, detector.stuck, counts.astype(np.uint16))


def _drawn_quanta(expected: Any, rng: np.random.Generator) -> Any:
    """Draw Poisson numbers, each from one normal deviate z, so that twins share their noise.

    Notes
    -----
    Cornish and Fisher's expansion to its second term, N + √N z + (z² − 1)/6: mean, variance and
    skewness are those of the Poisson distribution.
    """
    z = rng.standard_normal(expected.shape)
    drawn = expected + np.sqrt(expected) * z + np.where(expected > 0, (z * z - 1) / 6, 0)
    return np.maximum(np.rint(drawn), 0)
