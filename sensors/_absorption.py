"""Options of what a radiograph tells: transmission, attenuation, or what a part's shape leaves."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect.errors import CardError
from mmdefect.radiography.absorption import attenuation, repaired
from mmdefect.radiography.shape import SHAPED, ShapeOptions

from ._frame import check_flag, check_number

_QUANTITIES = ("transmission", "attenuation", *SHAPED)


@dataclass(frozen=True)
class Told:
    """What a card says of a radiograph's quantity.

    Parameters
    ----------
    quantity : str
    repair : bool
    shape : ShapeOptions or None
    """

    quantity: str
    repair: bool
    shape: ShapeOptions | None

    def finished(self, frame: xr.DataArray) -> xr.DataArray:
        """Bring transmission (energy, y, x) to the quantity; of a shape, to attenuation.

        Parameters
        ----------
        frame : DataArray (energy, y, x), float32
            NaN at dead pixels and holes.

        Returns
        -------
        DataArray (energy, y, x), float32
            With the attribute ``quantity`` unless it is transmission.
        """
        values = frame.values
        if self.repair:
            values = repaired(values, ~np.isfinite(values))
        if self.quantity == "transmission":
            return frame.copy(data=values.astype(np.float32))
        told = attenuation(values).astype(np.float32)
        return frame.copy(data=told).assign_attrs(quantity="attenuation")


def check_told(
    unit: str,
    quantity: object,
    repair: object,
    cad: object,
    fittings: object,
    surface: object,
    back: object,
    blur: object,
    align: object,
) -> Told:
    """Check what a card says of the quantity.

    Parameters
    ----------
    unit : str
        Of the radiograph.
    quantity, repair, cad, fittings, surface, back, blur, align : object
        See ``mmdefect.sensors.xray.Xray``.

    Returns
    -------
    Told

    Raises
    ------
    CardError
        When one is not of its kind, or contradicts another.
    """
    if quantity not in _QUANTITIES:
        raise CardError(
            f"quantity is {quantity!r}, but one of {', '.join(_QUANTITIES)} was promised; "
            "correct the card"
        )
    if quantity != "transmission" and unit != "1":
        raise CardError(
            f"quantity is {quantity!r}, but the open beam's level is not known, so that there is "
            "no transmission to take the logarithm of; give white or flat"
        )
    shaped = {"cad": cad, "fittings": fittings, "surface": surface, "back": back, "blur": blur}
    given = [name for name, value in shaped.items() if value is not None]
    mend = check_flag("repair", repair)
    if quantity not in SHAPED:
        if given:
            raise CardError(
                f"{', '.join(given)} were given for quantity {quantity!r}, but the part's shape is "
                f"of use for {' and '.join(SHAPED)} only; correct the card"
            )
        return Told(str(quantity), mend, None)
    if (cad is None) == (surface is None) or (surface is not None and fittings is not None):
        raise CardError(
            f"quantity {quantity!r} needs the part's shape from cad (and fittings), or from the "
            f"surface that a scanner sees, one of the two; {', '.join(given) or 'none'} was given"
        )
    if surface is not None and not (isinstance(surface, str) and surface):
        raise CardError(f"surface is {surface!r}, but the name of a scanner was promised")
    width = None if blur is None else check_number("blur", blur)
    if width is not None and width < 0:
        raise CardError(f"blur is {blur!r}, but pixels from 0 on were promised; correct the card")
    return Told(
        str(quantity),
        mend,
        ShapeOptions(
            quantity=str(quantity),
            cad=_mesh("cad", cad),
            fittings=_mesh("fittings", fittings),
            surface=str(surface or ""),
            back=0.0 if back is None else check_number("back", back),
            blur=width,
            align=check_flag("align", align),
        ),
    )


def check_energies(energies: object) -> list[float]:
    """Check how many energies a file holds, or what they are called.

    Parameters
    ----------
    energies : object
        A count, or the labels, in kV.

    Returns
    -------
    list of float or int
        Labels.

    Raises
    ------
    CardError
        When it is neither.
    """
    if type(energies) is int and energies >= 1:
        return list(range(energies))
    if isinstance(energies, (list, tuple)) and energies:
        fine = [type(kv) in (int, float) and math.isfinite(kv) and kv > 0 for kv in energies]
        if all(fine) and len(set(energies)) == len(energies):
            return list(energies)
    raise CardError(
        f"energies is {energies!r}, but a count from 1, or a list of kV, was promised; correct it"
    )


def _mesh(option: str, path: object) -> Path | None:
    """Take the path of a mesh."""
    if path is None or isinstance(path, (str, Path)):
        return None if path is None else Path(path)
    raise CardError(f"{option} is {path!r}, but the path of a mesh was promised; correct the card")
