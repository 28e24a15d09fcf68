"""Which places a sensor's score depends on, asked by covering them: for any detector.

A window is covered by what its border suggests, the smooth surface that has no corner inside
(harmonic: every pixel the mean of its neighbours), and the detector is asked again. How far the
score falls is what the window was worth. No gradient and no memory is needed; the price is one
prediction a window.

Covering is itself a change. Where good parts have texture, a smooth patch is strange, and the score
may rise: then the share is below 0. The shares sum to nothing in particular.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.contracts import Detector, Divided, Fusion
from mmdefect.errors import MmdefectError
from mmdefect.scene import present_in

__all__ = ["Occlusion"]

_SWEEPS = 100
Window = tuple[slice, slice]


class Occlusion:
    """Fall of each sensor's score when a window of its frame is covered.

    Parameters
    ----------
    windows : int
        Windows along the longer side of the scene; they overlap by half.
    strangest : float
        Of the windows, only this share is asked: those where the sensor's map is highest.
    """

    explains: tuple[str, ...] = ()

    def __init__(self, windows: int = 8, strangest: float = 0.25) -> None:
        if windows < 1 or not 0 < strangest <= 1:
            raise MmdefectError(
                f"{windows} windows and a share of {strangest} were asked for; one window at least "
                "and a share above 0 and at most 1 were promised"
            )
        self.windows = windows
        self.strangest = strangest

    def attribute(self, fusion: Fusion, prediction: xr.Dataset, scene: xr.Dataset) -> xr.Dataset:
        """Cover windows one after the other.

        Parameters
        ----------
        fusion : Fusion
        prediction : Dataset
        scene : Dataset

        Returns
        -------
        Dataset
            ``attribution_map`` (sensor, y, x): the fall of the detector's score (of the fused one,
            where the fusion has no detector for each sensor), averaged over the windows that cover
            a pixel; 0 where none was asked, NaN for a sensor that is not there. ``attribution``
            (sensor): the largest fall.
        """
        maps = xr.full_like(prediction["sensor_map"], np.nan)
        falls = xr.full_like(prediction["sensor_score"], np.nan)
        detectors = fusion.detectors_ if isinstance(fusion, Divided) else {}
        for name in [name for name in map(str, maps["sensor"].values) if name in present_in(scene)]:
            told = prediction["sensor_map"].sel(sensor=name).values
            found = self._falls(detectors.get(name, fusion), scene, name, told)
            maps.loc[{"sensor": name}] = found
            falls.loc[{"sensor": name}] = float(found.max())
        return xr.Dataset({"attribution_map": maps, "attribution": falls})

    def _falls(
        self, detector: Detector, scene: xr.Dataset, name: str, told: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Average the falls of the windows that cover each pixel."""
        before = _score(detector.predict(scene))
        total, count = np.zeros(told.shape), np.zeros(told.shape)
        for window in self._chosen(told):
            fall = before - _score(detector.predict(covered(scene, name, window)))
            total[window] += fall if np.isfinite(fall) else 0.0
            count[window] += 1
        return np.where(count > 0, total / np.maximum(count, 1), 0.0)

    def _chosen(self, told: NDArray[np.floating]) -> list[Window]:
        """Choose the windows where a map is highest."""
        side = max(2, -(-max(told.shape) // self.windows))
        step = max(1, side // 2)
        windows = [
            (slice(top, top + side), slice(left, left + side))
            for top in range(0, max(told.shape[0] - step, 1), step)
            for left in range(0, max(told.shape[1] - step, 1), step)
        ]
        seen = [w for w in windows if np.isfinite(told[w]).any()]
        ranked = sorted(seen, key=lambda w: -float(np.nanmax(told[w])))
        return ranked[: max(1, round(self.strangest * len(seen)))] if seen else []


def covered(scene: xr.Dataset, name: str, window: Window) -> xr.Dataset:
    """Give a scene with a window of one sensor covered by what its border suggests.

    Parameters
    ----------
    scene : Dataset
    name : str
        The sensor.
    window : (slice, slice)
        Rows and columns.

    Returns
    -------
    Dataset
        What was blind stays blind.
    """
    frame = scene[name]
    values = frame.values.copy()
    planes = values.reshape(-1, *values.shape[-2:])
    rows, columns = (slice(max(cut.start - 1, 0), cut.stop + 1) for cut in window)
    inside = np.zeros(planes.shape[1:], dtype=bool)
    inside[window] = True
    for plane in planes:
        plane[rows, columns] = _smooth(plane[rows, columns], inside[rows, columns])
    changed = scene.copy()
    changed[name] = frame.copy(data=values)
    return changed


def _smooth(plane: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill the inside by relaxation: every pixel the mean of its four neighbours."""
    known = np.isfinite(plane)
    border = known & ~inside
    if not border.any():
        return plane
    filled = np.where(border, plane, plane[border].mean()).astype(np.float64)
    for _ in range(_SWEEPS):
        wide = np.pad(filled, 1, mode="edge")
        mean = (wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]) / 4
        filled = np.where(border, filled, mean)
    return np.where(known, filled, np.nan).astype(np.float32)


def _score(prediction: xr.Dataset) -> float:
    """Give the part's score: the fusion's, else the detector's."""
    return float(prediction.get("image_score", prediction["sensor_score"].max()))
