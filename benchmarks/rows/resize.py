"""An organised cloud brought to the size of a network's input, by nearest measurements.

The rival is our rendering of what BTF and M3DM do: the picture of points becomes a tensor, its
axes are turned, and torch resizes it by nearest pixels. Theirs takes the pixel at the corner of
each footprint; to compare pixel by pixel it is asked for the one at the centre, as ours. ``memory
alone`` reads one number of every 64 bytes of the rows that are wanted, right after ours has, and
writes nothing: no way of resizing takes less, and the recipe's time over its time is the most that
can be had.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numba
import numpy as np
import torch
from case import Case, Check
from rows._clouds import bent

from mmdefect.registration.resample import nearest

TITLE = "Nearest resize of an organised cloud"


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    return {"800 x 800 to 224 x 224": partial(made, 800, 224)}


def made(side: int, wanted: int) -> Case:
    cloud = bent(side, "60 %")
    rows = np.arange(wanted) * side // wanted
    picture = np.ascontiguousarray(np.moveaxis(cloud, 0, -1))

    def recipe() -> np.ndarray:
        planes = torch.tensor(picture).permute(2, 0, 1).unsqueeze(0)
        sized = torch.nn.functional.interpolate(planes, (wanted, wanted), mode="nearest-exact")
        return sized.squeeze().contiguous().numpy()

    def checks() -> Sequence[Check]:
        apart = ~((nearest(cloud, wanted, wanted) == recipe()) |
                  np.isnan(nearest(cloud, wanted, wanted)) & np.isnan(recipe()))  # fmt: skip
        return (Check("numbers that differ", float(apart.sum()), most=0),)

    return Case(
        ours=lambda: nearest(cloud, wanted, wanted),
        rivals={"memory alone": lambda: touched(cloud, rows), "torch recipe": recipe},
        targets={"torch recipe": 10},
        checks=checks,
        rounds=41,
    )


@numba.njit
def touched(cloud: np.ndarray, rows: np.ndarray) -> float:
    """Read one number of each line of memory."""
    total = np.float32(0)
    for plane in range(len(cloud)):
        for row in rows:
            line = cloud[plane, row]
            for x in range(np.uintp(0), np.uintp(len(line)), np.uintp(16)):
                total += line[x]
    return total
