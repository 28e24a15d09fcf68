"""X-ray detectors: transmission I/I₀ where dark and white levels are known, counts elsewhere.

Without the level of the open beam a grey value says how dark a picture is, not how much the part
absorbs, so it stays ``relative``. The levels are numbers, or frames of the panel (flat and dark
field), which also even out its pixels. Transmission is kept as measured, noise below 0 and above
1 included: clipping would bias the mean of exactly the darkest and the thinnest places.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect.arrays import MAX_BYTES
from mmdefect.errors import CardError, SensorError
from mmdefect.frames import check_file, decoding, naming, single_channel
from mmdefect.tomography import read_radiograph

from ._absorption import check_energies, check_told
from ._frame import (
    ARRAYS,
    IMAGES,
    channels_first,
    check_flag,
    check_hole,
    check_key,
    check_number,
    check_scale,
    check_unit,
    label,
    physical,
    read_calibration,
    read_counts,
)
from ._many import DICOM, SCANS, check_frame

__all__ = ["Xray"]

_DEAD_SHARE = 0.01


class Xray:
    """Reads radiographs into transmission.

    Parameters
    ----------
    unit : {"1", "relative"}, optional
        By default "1" when `white` or `flat` is given, else "relative". "1" without them says
        that counts * scale + offset is transmission already.
    scale : float
        Units in one count; only without `white` and `flat`.
    offset : float
        Units at zero counts; only without `white` and `flat`.
    key : str, optional
        Name of the array in files that hold several.
    hole : float, optional
        Count of pixels without a measurement. None by default: 0 is a count like any other.
    white : float, optional
        Counts of the open beam.
    dark : float, str or Path, optional
        Counts without a beam, 0 by default; beside `flat` also a file that holds them for every
        pixel.
    energies : int or list of float
        Number of energies in one file, or what they are called (kV). Of one, several equal
        channels are accepted; of more, the array is (y, x, energy) or (energy, y, x).
    flat : str or Path, optional
        A file with the counts of the open beam for every pixel.
    frame : int, optional
        Which frame of files that hold several, counted from 0.
    own_fields : bool
        Whether each file is a scan in HDF5 with its own flats and darks, as NXtomo and Data
        Exchange have it; then `frame` counts the projections alone.
    quantity : {"transmission", "attenuation", "excess", "ratio"}
        Attenuation is −log of transmission; of the last two, what the part's shape leads one to
        expect is taken off, or divided by, by the rig: see ``docs/radiometry.md``.
    repair : bool
        Whether dead pixels and holes get the median of their neighbours, two pixels deep.
    cad, fittings : str or Path, optional
        Closed meshes (STL, PLY, OBJ; the rig's frame, mm) of the part, and of what is of another
        material in it.
    surface : str, optional
        Instead of `cad` the scanner that sees the part's front.
    back : float, mm, optional
        With `surface`: how far behind the rig's nominal plane the part's flat back lies; 0.
    blur : float, px, optional
        Of the panel; found from each radiograph when left out.
    align : bool
        With `cad`: whether the part's place is found from each radiograph.

    Raises
    ------
    CardError
        When an option is not of its kind, contradicts another, white is not above dark, or flat
        and dark cannot be read as frames of one size.

    Notes
    -----
    Transmission is (counts - dark) / (white - dark), or (counts - dark) / (flat - dark) pixel by
    pixel. A pixel that answers to the open beam with less than 1 % of what the median pixel does
    is dead: it measures nothing.
    """

    modality = "xray"
    suffixes: tuple[str, ...] = IMAGES + ARRAYS + DICOM
    files: tuple[str, ...] = ("flat", "dark", "cad", "fittings")

    def __init__(
        self,
        unit: str | None = None,
        scale: float = 1.0,
        offset: float = 0.0,
        key: str | None = None,
        hole: float | None = None,
        white: float | None = None,
        dark: float | str | Path | None = None,
        energies: int | list[float] = 1,
        flat: str | Path | None = None,
        frame: int | None = None,
        own_fields: bool = False,
        quantity: str = "transmission",
        repair: bool = False,
        cad: str | Path | None = None,
        fittings: str | Path | None = None,
        surface: str | None = None,
        back: float | None = None,
        blur: float | None = None,
        align: bool = True,
    ) -> None:
        self._own = check_flag("own_fields", own_fields)
        default = "relative" if white is None and flat is None and not own_fields else "1"
        self.unit_read = check_unit(default if unit is None else unit, ["1", "relative"])
        self._scale = check_scale(scale)
        self._offset = check_number("offset", offset)
        self._key = check_key(key)
        self._frame = check_frame(frame)
        self._hole = check_hole(hole)
        self._labels = check_energies(energies)
        self._energies = len(self._labels)
        self._told = check_told(
            self.unit_read, quantity, repair, cad, fittings, surface, back, blur, align
        )
        self.shape = self._told.shape
        self._field: tuple[np.ndarray, np.ndarray] | None = None
        if own_fields:
            self._check_own([flat, dark, white, key])
        elif flat is not None:
            self._field = self._fields(flat, dark, white)
        elif white is not None:
            self._scale, self._offset = self._between(white, 0.0 if dark is None else dark)
        elif dark is not None:
            told = str(dark) if isinstance(dark, Path) else dark
            raise CardError(
                f"dark is {told!r} without white or flat, but two levels make a "
                "transmission; add the other"
            )

    def _fields(
        self, flat: str | Path, dark: float | str | Path | None, white: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read the dark field and what the open beam adds to it, NaN at dead pixels."""
        if white is not None or (self._scale, self._offset, self.unit_read) != (1.0, 0.0, "1"):
            raise CardError(
                f"flat is {str(flat)!r} beside white, unit, scale or offset, but the fields alone "
                "make a transmission in unit '1'; leave one or the other out"
            )
        white_field = self._panel("flat", flat)
        if isinstance(dark, (str, Path)):
            dark_field = self._panel("dark", dark)
        else:
            level = check_number("dark", 0.0 if dark is None else dark)
            dark_field = np.full_like(white_field, level)
        if dark_field.shape != white_field.shape:
            raise CardError(
                f"flat has {white_field.shape[1:]} rows and columns and dark {dark_field.shape[1:]}"
                ", but frames of one panel were promised; correct the card"
            )
        span = _span(white_field, dark_field)
        if span is None:
            raise CardError(
                f"flat {str(flat)!r} is not above dark {str(dark)!r}, but the open beam was "
                "promised to be; are they swapped?"
            )
        return dark_field, span

    def _check_own(self, others: list[object]) -> None:
        """Refuse options that contradict fields which each file brings along."""
        alone = all(other is None for other in others) and self._energies == 1
        if not alone or (self._scale, self._offset, self.unit_read) != (1.0, 0.0, "1"):
            raise CardError(
                "own_fields stands beside flat, dark, white, key, energies, unit, scale or offset, "
                "but the scan's own fields alone make a transmission; leave one or the other out"
            )

    def _own_scan(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Read a projection as counts and transmission, (energy, y, x)."""
        if Path(path).suffix.lower() not in SCANS:
            raise SensorError(
                f"{path}: ends with {Path(path).suffix!r}, but one of {', '.join(SCANS)} was "
                "promised by own_fields; convert the file"
            )
        with naming(path):
            check_file(path)
            with decoding(path.suffix):
                found = read_radiograph(path, MAX_BYTES, self._frame)
            span = _span(found.flat[np.newaxis], found.dark[np.newaxis])
            if span is None:
                raise SensorError(
                    "holds flats that are not above its darks, but the open beam was promised to "
                    "be; record the scan again"
                )
        counts = found.counts[np.newaxis]
        return counts, (counts - found.dark) / span

    def _panel(self, option: str, path: str | Path) -> np.ndarray:
        """Read a field of the panel (energy, y, x), float64."""
        return read_calibration(option, path, self.suffixes, self._key, self._channels)

    def _channels(self, counts: np.ndarray) -> np.ndarray:
        """Bring counts to (energy, y, x)."""
        if self._energies == 1:
            return single_channel(counts)[np.newaxis]
        return channels_first(counts, self._energies)

    def _between(self, white: float, dark: float | str | Path) -> tuple[float, float]:
        """Turn the two levels into scale and offset."""
        if (self._scale, self._offset) != (1.0, 0.0) or self.unit_read != "1":
            raise CardError(
                f"white is {white!r} beside unit, scale or offset, but the levels alone make a "
                "transmission in unit '1'; leave one or the other out"
            )
        black = check_number("dark", dark)
        span = check_number("white", white) - black
        if span <= 0:
            raise CardError(
                f"white is {white!r} and dark {dark!r}, but white was promised to be above dark; "
                "are they swapped?"
            )
        return 1 / span, -black / span

    def read(self, path: Path) -> xr.DataArray:
        """Read a radiograph.

        Parameters
        ----------
        path : Path
            An image or array, see `energies`.

        Returns
        -------
        DataArray (energy, y, x), float32, 1 or relative
            Transmission, or counts as scaled; NaN at holes. Attenuation (attribute ``quantity``)
            where it, or what a shape leaves of it, was asked for.

        Raises
        ------
        SensorError
            When the file has another number of channels, another size than the fields, or cannot
            be read.
        """
        if self._own:
            counts, values = self._own_scan(Path(path))
        else:
            counts = read_counts(path, self.suffixes, self._key, self._frame)
            with naming(path):
                counts = self._channels(counts)
                values = self._transmission(counts)
        if self._hole is not None:
            values[counts == self._hole] = np.nan
        frame = label(values, self.modality, self.unit_read, {"energy": self._labels})
        return self._told.finished(frame)

    def _transmission(self, counts: np.ndarray) -> np.ndarray:
        """Scale counts by the levels, or by the fields pixel by pixel."""
        if self._field is None:
            return physical(counts, self._scale, self._offset)
        dark, span = self._field
        if counts.shape != span.shape:
            raise SensorError(
                f"has {counts.shape[1:]} rows and columns, but the panel's flat {span.shape[1:]}; "
                "record both in one mode"
            )
        values: np.ndarray = (counts - dark) / span
        return values


def _span(flat: np.ndarray, dark: np.ndarray) -> np.ndarray | None:
    """Give what the open beam adds (energy, y, x), NaN at dead pixels; None where it adds none."""
    span: np.ndarray = flat - dark
    known = [plane[np.isfinite(plane)] for plane in span]
    middle = np.array([np.median(plane) if plane.size else 0.0 for plane in known])
    if not (middle > 0).all():
        return None
    span[span < _DEAD_SHARE * middle[:, np.newaxis, np.newaxis]] = np.nan
    return span
