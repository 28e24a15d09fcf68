"""Captures as scenes that are read when they are gone through, and where they came from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    """Captures as scenes, read anew each time they are gone through."""

    dataset: SceneReader
    captures: list[Capture]

    def __iter__(self) -> Iterator[xr.Dataset]:
        """Read one scene after the other."""
        return read_ahead(self.dataset, self.captures)

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
