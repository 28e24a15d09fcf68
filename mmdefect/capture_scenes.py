"""Captures as scenes that are read when they are gone through, and where they came from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import xarray as xr

from mmdefect.captures import Capture
from mmdefect.model import Origin


class SceneReader(Protocol):
    """What captures are read by: a data set."""

    def scene(self, capture: Capture) -> xr.Dataset:
        """Read one capture."""
        ...

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
    _kept: dict[int, xr.Dataset] = field(default_factory=dict, init=False, repr=False)

    def __iter__(self) -> Iterator[xr.Dataset]:
        """Give one scene after the other; variables put into one stay out of those kept."""
        for number, capture in enumerate(self.captures):
            scene = self._kept.get(number)
            if scene is None:
                scene = self.dataset.scene(capture)
                held = sum(other.nbytes for other in self._kept.values())
                if held + scene.nbytes <= self.most_bytes:
                    self._kept[number] = scene
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
