"""What may be seen when a block is predicted: its surroundings, and nothing of itself.

A sensor is predicted block by block. Of the other sensors the block and a halo around it are
seen, and a summary of every region of the part; of the sensor itself only what lies beyond the
block and a margin, since neighbouring patches look through overlapping windows and would give
the answer away. All blocks of all sensors are predicted in one pass, because what is hidden
differs by the keys that are masked, not by what is computed.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._tokens import BLOCK

HALO = 2
MARGIN = 1
_REGION = 2 * BLOCK


class Windows(NamedTuple):
    """Which cells belong to which block, and which may be seen from it.

    Attributes
    ----------
    cells : Tensor (block, cell of the block), int64
    window : Tensor (block, cell of the window), int64
        Cells of the grid; 0 where the window leaves it.
    inside : Tensor (block, cell of the window), bool
        Whether it lies on the grid.
    hidden : Tensor (block, cell of the window), bool
        Whether it lies in the block or its margin.
    regions : Tensor (region, cell of the grid), float32
        1 where a cell belongs to the region.
    clear : Tensor (block, region), bool
        Whether the region shares no cell with the block and its margin.
    """

    cells: Tensor
    window: Tensor
    inside: Tensor
    hidden: Tensor
    regions: Tensor
    clear: Tensor

    def only(self, blocks: Tensor) -> "Windows":
        """Keep some blocks.

        Parameters
        ----------
        blocks : Tensor (block,), int64
        """
        own = (self.cells, self.window, self.inside, self.hidden)
        cells, window, inside, hidden = (part[blocks] for part in own)
        return Windows(cells, window, inside, hidden, self.regions, self.clear[blocks])

    def answering(self, sensors: int) -> tuple[Tensor, Tensor]:
        """Give the cells that answer, and what each block is answered by.

        Parameters
        ----------
        sensors : int

        Returns
        -------
        Tensor (near cell,), int64
            Cells that lie in a window.
        Tensor (block, key), int64
            Where the cells of its window lie, sensor by sensor, then the regions, then the
            answer "nothing", in the order (sensor · near cell, sensor · region, nothing).
        """
        regions = len(self.regions)
        near, places = torch.unique(self.window, return_inverse=True)
        first = torch.arange(sensors, device=near.device)[:, None] * len(near)
        close = (places[:, None] + first).flatten(1)
        far = torch.arange(sensors * regions + 1, device=near.device) + sensors * len(near)
        return near, torch.cat([close, far.expand(len(close), -1)], dim=1)

    def to(self, device: torch.device) -> "Windows":
        """Bring it to a device."""
        return Windows._make(part.to(device) for part in self)


def windows_of(grid: tuple[int, int]) -> Windows:
    """Cut a grid into blocks.

    Parameters
    ----------
    grid : tuple of int
        Rows and columns, multiples of the block's side.

    Returns
    -------
    Windows
    """
    rows, columns = grid
    starts = [(y, x) for y in range(0, rows, BLOCK) for x in range(0, columns, BLOCK)]
    own = np.arange(BLOCK)
    wide = np.arange(-HALO, BLOCK + HALO)
    near = (wide >= -MARGIN) & (wide < BLOCK + MARGIN)
    cells, window, inside = [], [], []
    for top, left in starts:
        cells.append(((top + own)[:, None] * columns + left + own).ravel())
        y, x = np.meshgrid(top + wide, left + wide, indexing="ij")
        on = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
        inside.append(on.ravel())
        window.append(np.where(on, y * columns + x, 0).ravel())
    hidden = np.broadcast_to((near[:, None] & near).ravel(), (len(starts), wide.size**2))
    regions = _regions(grid)
    covered = np.zeros((len(starts), rows * columns))
    for number, (places, on) in enumerate(zip(window, inside, strict=True)):
        covered[number, places[on & hidden[number]]] = 1
    clear = covered @ regions.T == 0
    parts = (np.stack(cells), np.stack(window), np.stack(inside), hidden.copy())
    tensors = [torch.from_numpy(part) for part in (*parts, regions.astype(np.float32), clear)]
    return Windows._make(tensors)


def _regions(grid: tuple[int, int]) -> np.ndarray:
    """Tell which cells belong to which region of 2 × 2 blocks."""
    across = -(-grid[1] // _REGION)
    y, x = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    number = y // _REGION * across + x // _REGION
    regions: np.ndarray = number == np.arange(number.max() + 1)[:, None]
    return regions
