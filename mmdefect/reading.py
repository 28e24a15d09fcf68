"""Frames of captures, read with suspicion.

One bad file costs one frame: the reason goes into the list of refusals, and the sensor counts as
absent from that capture. What an adapter cannot see in one file is checked here: a frame in which
nothing is to be seen, and a frame of another size than the sensor's others.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from mmdefect.captures import Capture, Refusal
from mmdefect.cards import Card
from mmdefect.contracts import SensorAdapter
from mmdefect.errors import CardError, SensorError
from mmdefect.frames import read_mask
from mmdefect.layout import MASK
from mmdefect.registry import load
from mmdefect.scene import blank_frame

_SIZE_VOTES = 5


class FrameReader:
    """Reads the frames of one data set.

    Parameters
    ----------
    card : Card
    root : Path
    refused : list of Refusal
        Grows with what cannot be used.
    sizes : mapping of str to (int, int), optional
        Height and width in pixels that a sensor's frames must have; else those of most of the
        first ones.
    """

    def __init__(
        self,
        card: Card,
        root: Path,
        refused: list[Refusal],
        sizes: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self.card = card
        self.root = root
        self.refused = refused
        self.sizes = dict(sizes or {})
        self._adapters: dict[str, SensorAdapter] = {}
        self._sizes: dict[tuple[str, str], tuple[int, int] | None] = {}

    def adapter(self, name: str) -> SensorAdapter:
        """Make a sensor's adapter, once.

        Raises
        ------
        CardError
            When the card gives it an option that it does not have.
        """
        if name not in self._adapters:
            entry = self.card.sensors[name]
            try:
                self._adapters[name] = load("sensors", entry.adapter)(**entry.options)
            except TypeError as error:
                raise CardError(
                    f"card {self.card.name!r}: [sensors.{name}] has an option that the adapter "
                    f"{entry.adapter!r} does not know: {error}"
                ) from error
        return self._adapters[name]

    def blank(self, name: str, size: tuple[int, int]) -> xr.DataArray:
        """Give the frame of an absent sensor."""
        adapter = self.adapter(name)
        return blank_frame(adapter.modality, adapter.unit_read, *size)

    def size(self, name: str, captures: Sequence[Capture]) -> tuple[int, int] | None:
        """Give the size that most of a sensor's first readable frames have.

        Parameters
        ----------
        name : str
        captures : sequence of Capture
            All of one category.

        Returns
        -------
        (int, int) or None
            Height and width in pixels; None when no frame can be read.
        """
        if name in self.sizes:
            return self.sizes[name]
        key = (captures[0].category, name)
        if key not in self._sizes:
            votes: Counter[tuple[int, int]] = Counter()
            for capture in sorted(captures, key=lambda c: c.split == "test"):
                frame = self._read(capture, name)
                if frame is not None:
                    votes[frame.sizes["y"], frame.sizes["x"]] += 1
                if votes.total() == _SIZE_VOTES:
                    break
            self._sizes[key] = votes.most_common(1)[0][0] if votes else None
        return self._sizes[key]

    def frame(
        self, capture: Capture, name: str, captures: Sequence[Capture]
    ) -> xr.DataArray | None:
        """Read a frame of the size its sensor has in this category.

        Parameters
        ----------
        capture : Capture
        name : str
            The sensor.
        captures : sequence of Capture
            All of the category.

        Returns
        -------
        DataArray (…, y, x), float32, or None
            None when it is missing or refused.
        """
        frame = self._read(capture, name)
        if frame is None:
            return None
        found, usual = (frame.sizes["y"], frame.sizes["x"]), self.size(name, captures)
        if usual is not None and found != usual:
            self.refuse(
                capture,
                name,
                capture.frames[name],
                f"{found[0]}x{found[1]} pixels were found, but {usual[0]}x{usual[1]} as in the "
                f"{'parts learnt from' if name in self.sizes else 'other captures'} was promised; "
                "was the camera set up differently?",
            )
            return None
        return frame

    def defect(self, capture: Capture, size: tuple[int, int]) -> np.ndarray | None:
        """Read the ground truth, where there is one that does not contradict the label.

        Parameters
        ----------
        capture : Capture
        size : (int, int)
            Of the reference's grid.

        Returns
        -------
        bool array (y, x) or None
            None where it is not known; the empty mask of a defective part says nothing about
            where its defect is.
        """
        if capture.mask is None:
            return np.zeros(size, dtype=bool) if capture.label == "good" else None
        try:
            mask = read_mask(capture.mask)
            _check_mask(mask, capture.label, size)
        except SensorError as error:
            self.refuse(capture, MASK, capture.mask, str(error))
            return None
        return mask if mask.any() or capture.label == "good" else None

    def refuse(self, capture: Capture, name: str, path: Path, why: str) -> None:
        """Put a file on the list of refusals, once."""
        why = why.removeprefix(f"{path}: ")
        refusal = Refusal(capture.id, name, path.relative_to(self.root).as_posix(), why)
        if refusal not in self.refused:
            self.refused.append(refusal)

    def _read(self, capture: Capture, name: str) -> xr.DataArray | None:
        """Read a frame with something in it, or note why not."""
        path = capture.frames.get(name)
        if path is None:
            return None
        try:
            frame = self.adapter(name).read(path)
            _check_content(frame)
        except SensorError as error:
            self.refuse(capture, name, path, str(error))
            return None
        return frame


def _check_content(frame: xr.DataArray) -> None:
    """Refuse a frame that says nothing."""
    planes = frame.values.reshape(-1, frame.sizes["y"] * frame.sizes["x"])
    known = planes[:, np.isfinite(planes).all(0)]
    if known.size == 0:
        raise SensorError(
            "no pixel holds a measurement; a frame of measurements was promised: did the sensor "
            "fail?"
        )
    if (known == known[:, :1]).all():
        found = ", ".join(f"{value:g}" for value in known[:, 0])
        raise SensorError(
            f"every pixel is {found}; a picture of a part was promised: was the lens cap on?"
        )


def _check_mask(mask: np.ndarray, label: str, size: tuple[int, int]) -> None:
    """Refuse a mask that does not fit the grid or contradicts the label."""
    if mask.shape != size:
        raise SensorError(
            f"the mask has {mask.shape[0]}x{mask.shape[1]} pixels, but the reference's "
            f"{size[0]}x{size[1]} were promised; draw it on the reference's frame"
        )
    if label == "good" and mask.any():
        raise SensorError(
            "a mask marks a defect on a part that lies under good; an empty mask, or none, was "
            "promised: move the part or remove the mask"
        )
