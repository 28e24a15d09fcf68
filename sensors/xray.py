"""X-ray detectors: transmission I/I₀ where dark and white levels are known, counts elsewhere.

Without the level of the open beam a grey value says how dark a picture is, not how much the part
absorbs, so it stays ``relative``. Transmission is kept as measured, noise below 0 and above 1
included: clipping would bias the mean of exactly the darkest and the thinnest places.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect.errors import CardError
from mmdefect.frames import naming, single_channel

from ._frame import (
    ARRAYS,
    IMAGES,
    channels_first,
    check_hole,
    check_key,
    check_number,
    check_scale,
    check_unit,
    label,
    physical,
    read_counts,
)

__all__ = ["Xray"]


class Xray:
    """Reads radiographs into transmission.

    Parameters
    ----------
    unit : {"1", "relative"}, optional
        By default "1" when `white` is given, else "relative". "1" without `white` says that
        counts * scale + offset is transmission already.
    scale : float
        Units in one count; only without `white`.
    offset : float
        Units at zero counts; only without `white`.
    key : str, optional
        Name of the array in files that hold several.
    hole : float, optional
        Count of pixels without a measurement. None by default: 0 is a count like any other.
    white : float, optional
        Counts of the open beam.
    dark : float, optional
        Counts without a beam, 0 by default.
    energies : int
        Number of energies in one file. Of one, several equal channels are accepted; of more, the
        array is (y, x, energy) or (energy, y, x).

    Raises
    ------
    CardError
        When an option is not of its kind, contradicts another, or white is not above dark.

    Notes
    -----
    Transmission is (counts - dark) / (white - dark).
    """

    modality = "xray"
    suffixes: tuple[str, ...] = IMAGES + ARRAYS

    def __init__(
        self,
        unit: str | None = None,
        scale: float = 1.0,
        offset: float = 0.0,
        key: str | None = None,
        hole: float | None = None,
        white: float | None = None,
        dark: float | None = None,
        energies: int = 1,
    ) -> None:
        default = "relative" if white is None else "1"
        self.unit_read = check_unit(default if unit is None else unit, ["1", "relative"])
        self._scale = check_scale(scale)
        self._offset = check_number("offset", offset)
        self._key = check_key(key)
        self._hole = check_hole(hole)
        if isinstance(energies, bool) or not isinstance(energies, int) or energies < 1:
            raise CardError(
                f"energies is {energies!r}, but a count from 1 was promised; correct it"
            )
        self._energies = energies
        if white is not None:
            self._scale, self._offset = self._between(white, 0.0 if dark is None else dark)
        elif dark is not None:
            raise CardError(f"dark is {dark!r} without white, but both make a transmission; add it")

    def _between(self, white: float, dark: float) -> tuple[float, float]:
        """Turn the two levels into scale and offset."""
        if (self._scale, self._offset) != (1.0, 0.0) or self.unit_read != "1":
            raise CardError(
                f"white is {white!r} beside unit, scale or offset, but the levels alone make a "
                "transmission in unit '1'; leave one or the other out"
            )
        span = check_number("white", white) - check_number("dark", dark)
        if span <= 0:
            raise CardError(
                f"white is {white!r} and dark {dark!r}, but white was promised to be above dark; "
                "are they swapped?"
            )
        return 1 / span, -dark / span

    def read(self, path: Path) -> xr.DataArray:
        """Read a radiograph.

        Parameters
        ----------
        path : Path
            An image or array, see `energies`.

        Returns
        -------
        DataArray (energy, y, x), float32, 1 or relative
            Transmission, or counts as scaled; NaN at holes.

        Raises
        ------
        SensorError
            When the file has another number of channels, or cannot be read.
        """
        counts = read_counts(path, self.suffixes, self._key)
        with naming(path):
            if self._energies == 1:
                counts = single_channel(counts)[np.newaxis]
            else:
                counts = channels_first(counts, self._energies)
        values = physical(counts, self._scale, self._offset)
        if self._hole is not None:
            values[counts == self._hole] = np.nan
        energies = {"energy": list(range(self._energies))}
        return label(values, self.modality, self.unit_read, energies)
