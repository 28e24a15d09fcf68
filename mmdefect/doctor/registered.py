"""How far a sensor that is said to be registered lies from the reference.

Edges are where they are in every modality, whatever their sign, so the magnitudes of the gradients
of both frames are correlated [1]_. One capture rarely has enough common edges; the offset is a
property of the rig, so the correlations of many captures are summed before the peak is looked
for. Each half of the captures gives an estimate of its own: when the two disagree, or the peak
does not stand out, the offset is not measurable, and that is said instead of a number.

References
----------
.. [1] C. Kuglin, D. Hines, "The phase correlation image alignment method", 1975.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.doctor.findings import DOUBTFUL, GOOD_TO_KNOW, WRONG, Finding, Seen
from mmdefect.plane import plane_of

LEAST_SHIFT = 1.0
GRAVE_SHARE = 0.01
LEAST_QUALITY = 10.0
AGREEMENT = 1.0
_REACH = 24
_MOST_SIDE = 512
_WHITENING = 0.7
_EDGES = (0.8, 0.995)


class RegistrationCheck:
    """Estimates the offset of one sensor from the reference.

    Kept: two small correlation surfaces, whatever the number of captures.

    Parameters
    ----------
    category, sensor, reference : str
    """

    def __init__(self, category: str, sensor: str, reference: str) -> None:
        self.category = category
        self.sensor = sensor
        self.reference = reference
        side = 2 * _REACH + 1
        self._surfaces = np.zeros((2, side, side))
        self._counts = [0, 0]
        self._scale = 1.0
        self._side = 0

    def look(self, seen: Seen) -> None:
        """Add the capture's correlation to its half."""
        one, other = seen.frames.get(self.reference), seen.frames.get(self.sensor)
        if one is None or other is None:
            return
        planes = self._same_size(one, other)
        if planes is None:
            return
        surface = correlation(*planes)
        half = sum(self._counts) % 2
        if surface is not None:
            self._surfaces[half] += surface
            self._counts[half] += 1

    def _same_size(
        self, one: xr.DataArray, other: xr.DataArray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Bring both frames to the reference's size, or less where that is large."""
        from mmdefect.registration import resample

        height, width = one.sizes["y"], one.sizes["x"]
        self._side = min(height, width)
        self._scale = max(1.0, max(height, width) / _MOST_SIDE)
        size = round(height / self._scale), round(width / self._scale)
        if min(size) < 4 * _REACH // 3:
            return None
        return plane_of(resample(one, *size)), plane_of(resample(other, *size))

    def estimate(self) -> tuple[float, float, float] | None:
        """Give the offset in pixels of the reference, down and right, and its quality.

        Returns
        -------
        (float, float, float) or None
            None where it is not measurable.
        """
        if min(self._counts) == 0:
            return None
        down, right, quality = peak(self._surfaces.sum(0))
        halves = [peak(surface) for surface in self._surfaces]
        apart = np.hypot(halves[0][0] - halves[1][0], halves[0][1] - halves[1][1])
        if quality < LEAST_QUALITY or apart > AGREEMENT:
            return None
        return down * self._scale, right * self._scale, quality

    def findings(self) -> Iterator[Finding]:
        """Say how far it is off, or that this cannot be measured."""
        if sum(self._counts) == 0:
            return
        found = self.estimate()
        if found is None:
            yield self._told(
                GOOD_TO_KNOW,
                f"the offset of {self.sensor} from {self.reference} is not measurable",
                "the two have too few edges in common; whether they are registered is the card's "
                "word alone",
                "check it on a target with edges that both sensors see",
            )
            return
        down, right, quality = found
        length = float(np.hypot(down, right))
        if length >= LEAST_SHIFT:
            yield self._told(
                WRONG if length >= GRAVE_SHARE * self._side else DOUBTFUL,
                f"{self.sensor} lies {down:+.1f} px down and {right:+.1f} px right of "
                f"{self.reference} (quality {quality:.0f})",
                "maps of registered sensors are fused pixel by pixel: evidence meets in the wrong "
                "place, and pixel metrics fall",
                "register it, or take it out of the card's 'registered'",
            )

    def _told(self, severity: str, what: str, why: str, do: str) -> Finding:
        return Finding(
            severity, "registration", self.category, self.sensor, what, why, do, sum(self._counts)
        )


def correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> np.ndarray | None:
    """Correlate the edges of two pictures of one size.

    Parameters
    ----------
    one, other : float array (y, x)
        NaN where blind.

    Returns
    -------
    float array (shift, shift) or None
        Around no shift at the centre; None when one of them has no edge.
    """
    edges = [_edges(picture) for picture in (one, other)]
    if any(found is None for found in edges):
        return None
    first, second = (np.fft.rfft2(found) for found in edges if found is not None)
    cross = np.conj(first) * second
    cross /= np.maximum(np.abs(cross), 1e-12) ** _WHITENING
    surface = np.fft.fftshift(np.fft.irfft2(cross, s=one.shape))
    y, x = surface.shape[0] // 2, surface.shape[1] // 2
    reach = min(_REACH, y, x)
    window = np.zeros((2 * _REACH + 1, 2 * _REACH + 1))
    cut = surface[y - reach : y + reach + 1, x - reach : x + reach + 1]
    start = _REACH - reach
    window[start : start + cut.shape[0], start : start + cut.shape[1]] = cut
    norm = float(np.linalg.norm(surface))
    return window / norm if norm > 0 else None


def _edges(picture: NDArray[np.floating]) -> np.ndarray | None:
    """Take the strong gradients, bounded, free of the frame's border; holes are filled first."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude

    blind = ~np.isfinite(picture)
    if blind.all():
        return None
    nearest = distance_transform_edt(blind, return_distances=False, return_indices=True)
    edges = gaussian_gradient_magnitude(picture[tuple(nearest)].astype(np.float64), 1.5)
    low, high = np.quantile(edges, _EDGES)
    if high <= low:
        return None
    edges = np.clip((edges - low) / (high - low), 0, 1)
    edges -= gaussian_filter(edges, 8.0)
    window = np.outer(np.hanning(edges.shape[0]), np.hanning(edges.shape[1]))
    return np.asarray(edges * window)


def peak(surface: np.ndarray) -> tuple[float, float, float]:
    """Find the highest place of a correlation.

    Parameters
    ----------
    surface : float array (shift, shift)

    Returns
    -------
    float, float
        Shift down and right in pixels, from a parabola through the neighbours.
    float
        Height above the surface's median, in its robust spreads.
    """
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    middle = np.median(surface)
    spread = 1.4826 * np.median(np.abs(surface - middle))
    quality = float((surface[row, column] - middle) / spread) if spread > 0 else 0.0
    down = row - _REACH + _bend(surface[:, column], int(row))
    right = column - _REACH + _bend(surface[row, :], int(column))
    return float(down), float(right), quality


def _bend(line: np.ndarray, place: int) -> float:
    """Refine the place of a maximum to a fraction of a pixel."""
    if not 0 < place < len(line) - 1:
        return 0.0
    before, at, after = line[place - 1 : place + 2]
    bend = before - 2 * at + after
    return float((before - after) / (2 * bend)) if bend < 0 else 0.0
