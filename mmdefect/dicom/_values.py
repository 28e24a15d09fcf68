"""What stored pixels of a DICOM file stand for: rescaled, padded, bright where bright."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.dicom._raster import Raster
from mmdefect.errors import SensorError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def values_of(stored: NDArray[Any], head: "Dataset", raster: Raster, index: int) -> NDArray[Any]:
    """Turn stored values into those that the header promises.

    Parameters
    ----------
    stored : ndarray
        Of one frame.
    head : pydicom.Dataset
        What stands before the pixels.
    raster : Raster
        How they are stored.
    index : int
        Which frame they are.

    Returns
    -------
    ndarray
        float64 where the file rescales or pads, else as stored.

    Raises
    ------
    SensorError
        When the file rescales by a table, or by numbers that are none.
    """
    if "ModalityLUTSequence" in head:
        raise SensorError(
            "gives its values by a table (Modality LUT), but a slope and an intercept were "
            "promised; export it rescaled"
        )
    slope, intercept = _rescale(head, index)
    padding = _padding(stored, head)
    if str(head.PhotometricInterpretation).strip() == "MONOCHROME1":
        low = -(1 << raster.bits - 1) if raster.dtype.kind == "i" else 0
        high = low + (1 << raster.bits) - 1
        stored = (high + low - stored.astype(np.int64)).astype(stored.dtype)
    if (slope, intercept) == (1.0, 0.0) and not padding.any():
        return stored
    values: NDArray[np.float64] = stored * slope + intercept
    values[padding] = np.nan
    return values


def _rescale(head: "Dataset", index: int) -> tuple[float, float]:
    """Find slope and intercept, which enhanced files keep frame by frame."""
    slope, intercept = head.get("RescaleSlope"), head.get("RescaleIntercept")
    for name, place in (
        ("SharedFunctionalGroupsSequence", 0),
        ("PerFrameFunctionalGroupsSequence", index),
    ):
        groups = head.get(name) or []
        found = groups[place].get("PixelValueTransformationSequence") if place < len(groups) else ()
        for one in found or ():
            slope, intercept = one.get("RescaleSlope"), one.get("RescaleIntercept")
    factor = 1.0 if slope is None else float(slope)
    offset = 0.0 if intercept is None else float(intercept)
    if factor == 0 or not np.isfinite([factor, offset]).all():
        raise SensorError(
            f"rescales by {factor:g} and {offset:g}, but numbers that keep the values apart were "
            "promised; the header is damaged: export the image again"
        )
    return factor, offset


def _padding(stored: NDArray[Any], head: "Dataset") -> NDArray[np.bool_]:
    """Tell which pixels only fill the frame."""
    first, last = head.get("PixelPaddingValue"), head.get("PixelPaddingRangeLimit")
    if first is None:
        return np.zeros(stored.shape, np.bool_)
    ends = sorted(int(end) for end in (first, first if last is None else last))
    padding: NDArray[np.bool_] = (stored >= ends[0]) & (stored <= ends[1])
    return padding
