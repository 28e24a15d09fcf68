"""Captures as scenes that are read when they are gone through, and where they came from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import xarray as xr

from mmdefect.ahead import Reader, read_ahead
from mmdefect.captures import Capture
from mmdefect.model import Origin


class SceneReader(Reader, Protocol):
    """What captures are read by: a data set."""

    def origin(self, fit: Sequence[Capture], calibration: Sequence[Capture]) -> Origin:
        """Tell what a model has to know of the data set."""
        ...


@dataclass(frozen=True)
class CaptureScenes:
    """Captures as scenes, read when they are gone through.

    Learning goes through the same parts many times, once or twice for every sensor; the first
    scenes, up to so many bytes, are therefore kept from one time to the next.

    Parameters
    ----------
    dataset : SceneReader
    captures : list of Capture
    most_bytes : int
        Bytes of scenes that may be kept; none unless told otherwise.
    """

    dataset: SceneReader
    captures: list[Capture]
    most_bytes: int = 0
    _kept: list[xr.Dataset] = field(default_factory=list, init=False, repr=False)

    def __iter__(self) -> Iterator[xr.Dataset]:
        """Give one scene after the other; variables put into one stay out of those kept."""
        known = len(self._kept)
        yield from (scene.copy() for scene in self._kept[:known])
        left = self.most_bytes - sum(scene.nbytes for scene in self._kept)
        for number, scene in enumerate(read_ahead(self.dataset, self.captures[known:]), known):
            if number == len(self._kept) and scene.nbytes <= left:
                self._kept.append(scene)
                left -= scene.nbytes
            yield scene.copy()

    def __len__(self) -> int:
        """Count the captures."""
        return len(self.captures)

    def __repr__(self) -> str:
        """Tell how many there are."""
        return f"CaptureScenes({len(self.captures)} captures)"

    def origin(self, calibration: object) -> Origin | None:
        """Tell what a model has to know; None when the calibration is of another data set."""
        if not isinstance(calibration, CaptureScenes) or calibration.dataset is not self.dataset:
            return None
        return self.dataset.origin(self.captures, calibration.captures)
