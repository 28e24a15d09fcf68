"""Where the rows of a bank came from: which good part, and which of its patches.

Three small integers a row. They make a distance evidence that can be looked at: this patch is
unlike all good ones, and this is the one it is least unlike.
"""

from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr
from torch import Tensor

_UNKNOWN = -1


def unknown(count: int) -> Tensor:
    """Give the origins of rows of which nothing is known.

    Parameters
    ----------
    count : int

    Returns
    -------
    Tensor (count, 3), int32
    """
    return torch.full((count, 3), _UNKNOWN, dtype=torch.int32)


def origins_of(believed: np.ndarray, part: int) -> Tensor:
    """Give the origins of a part's patches.

    Parameters
    ----------
    believed : bool array (y, x)
        Which patches are rows, in reading order.
    part : int
        Number of the part in the list of those learnt from.

    Returns
    -------
    Tensor (row, 3), int32
        The part, then row and column of the patch.
    """
    rows, columns = np.nonzero(believed)
    return torch.from_numpy(
        np.stack([np.full(len(rows), part), rows, columns], axis=1).astype(np.int32)
    )


def origins_in(tensors: Mapping[str, np.ndarray], name: str, count: int) -> Tensor:
    """Read origins from a state; those of a model of old are unknown.

    Parameters
    ----------
    tensors : mapping of str to array
    name : str
    count : int
        Of the rows they belong to.

    Returns
    -------
    Tensor (count, 3), int32
    """
    return torch.from_numpy(np.array(tensors[name])) if name in tensors else unknown(count)


def name_of(scene: xr.Dataset, number: int) -> str:
    """Name a part by its capture, else by its number among those learnt from.

    Parameters
    ----------
    scene : Dataset
    number : int

    Returns
    -------
    str
    """
    return str(scene.attrs.get("capture") or f"good part {number}")
