"""Scenes that can be gone through again and again without being held.

Memory does not grow with the number of captures: each is read when its turn comes, every time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import xarray as xr

from mmdefect.captures import Capture


@dataclass(frozen=True)
class CaptureScenes:
    """Captures as scenes, read anew each time they are gone through.

    Parameters
    ----------
    read : callable
        From a capture to its scene.
    captures : list of Capture
    """

    read: Callable[[Capture], xr.Dataset]
    captures: list[Capture]

    def __iter__(self) -> Iterator[xr.Dataset]:
        """Read one scene after the other."""
        return map(self.read, self.captures)

    def __len__(self) -> int:
        """Count the captures."""
        return len(self.captures)
