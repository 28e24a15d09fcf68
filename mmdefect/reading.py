"""Frames of captures, read with suspicion.

One bad file costs one frame: the reason goes into the list of refusals, and the sensor counts as
absent from that capture. What an adapter cannot see in one file is checked here: a frame in which
nothing is to be seen, and a frame of another size than the sensor's others, unless the card pads.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np
import xarray as xr

from mmdefect.boxes import box_mask
from mmdefect.captures import Capture, Refusal
from mmdefect.card_text import files_named
from mmdefect.cards import Card
from mmdefect.contracts import SensorAdapter
from mmdefect.errors import CardError, SensorError
from mmdefect.frames import read_mask
from mmdefect.layout import MASK
from mmdefect.registration import Rig
from mmdefect.registry import load
from mmdefect.scene import blank_frame

_SIZE_VOTES = 5
_FEW_PIXELS = 2000


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

    Attributes
    ----------
    rig : Rig or None
        Whose cameras say how large frames must be; None lets ``sizes`` or the captures say it.
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
        self.rig: Rig | None = None
        self.sizes = dict(sizes or {})
        self._adapters: dict[str, SensorAdapter] = {}
        self._sizes: dict[tuple[str, str], tuple[int, int] | None] = {}
        self._own: dict[Path, tuple[int, int]] = {}

    def adapter(self, name: str) -> SensorAdapter:
        """Make a sensor's adapter, once.

        Raises
        ------
        CardError
            When the card gives it an option that it does not have.
        """
        if name not in self._adapters:
            entry = self.card.sensors[name]
            maker = load("sensors", entry.adapter)
            options = entry.options | self._resolved(name)
            try:
                self._adapters[name] = maker(**options)
            except TypeError as error:
                raise CardError(
                    f"card {self.card.name!r}: [sensors.{name}] has an option that the adapter "
                    f"{entry.adapter!r} does not know: {error}"
                ) from error
        return self._adapters[name]

    def files(self) -> dict[str, Path]:
        """Find the files that the card's options name: flats, darks, maps of bad pixels.

        Returns
        -------
        dict of str to Path
            By their names in the card.
        """
        return {
            told: self._resolved(name)[option]
            for name in self.card.sensors
            for option, told in files_named(self.card, name)
        }

    def _resolved(self, name: str) -> dict[str, Path]:
        """Find the files that a sensor's options name: a model's own, else below the root."""
        resolved = {}
        for option, told in files_named(self.card, name):
            inside = not PurePath(told).is_absolute() and ".." not in PurePath(told).parts
            if told not in self.card.files and not inside:
                raise CardError(
                    f"card {self.card.name!r}: [sensors.{name}] {option} is {told!r}, but a path "
                    "below the data set's folder was promised; put the file there"
                )
            resolved[option] = self.card.files.get(told, self.root / told)
        return resolved

    def blank(self, name: str, size: tuple[int, int]) -> xr.DataArray:
        """Give the frame of an absent sensor."""
        adapter = self.adapter(name)
        return blank_frame(adapter.modality, adapter.unit_read, *size)

    def size(self, name: str, captures: Sequence[Capture]) -> tuple[int, int] | None:
        """Give the size that most of a sensor's first readable frames have.

        Where the card pads, the largest height and width of all of them.

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
        camera = self.rig.cameras.get(name) if self.rig is not None else None
        if camera is not None:
            return camera.height, camera.width
        if name in self.sizes:
            return self.sizes[name]
        key = (captures[0].category, name)
        if key not in self._sizes and self.card.pad:
            self._sizes[key] = self._largest(name, captures)
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

    def own_size(self, capture: Capture, name: str) -> tuple[int, int] | None:
        """Give the size a frame has before it is padded; None where the card does not pad."""
        return self._own.get(capture.frames[name]) if name in capture.frames else None

    def _largest(self, name: str, captures: Sequence[Capture]) -> tuple[int, int] | None:
        """Find the largest height and width; remember each frame's own."""
        for capture in captures:
            frame = self._read(capture, name)
            if frame is not None:
                self._own[capture.frames[name]] = frame.sizes["y"], frame.sizes["x"]
        sizes = [self._own[c.frames[name]] for c in captures if c.frames.get(name) in self._own]
        return (max(h for h, _ in sizes), max(w for _, w in sizes)) if sizes else None

    def frame(
        self, capture: Capture, name: str, captures: Sequence[Capture], *, pad: bool = True
    ) -> xr.DataArray | None:
        """Read a frame of the size its sensor has in this category.

        Parameters
        ----------
        capture : Capture
        name : str
            The sensor.
        captures : sequence of Capture
            All of the category.
        pad : bool
            Whether to pad the frame where the card says so.

        Returns
        -------
        DataArray (…, y, x), float32, or None
            None when it is missing or refused.
        """
        frame = self._read(capture, name)
        if frame is None:
            return None
        if self.card.pad and not pad:
            return frame
        found, usual = (frame.sizes["y"], frame.sizes["x"]), self.size(name, captures)
        told = self.rig.size_refused(name, found) if self.rig is not None else None
        if told is not None:
            self.refuse(capture, name, capture.frames[name], told)
            return None
        fits = usual is not None and found[0] <= usual[0] and found[1] <= usual[1]
        if usual is not None and self.card.pad and fits:
            return frame.pad(y=(0, usual[0] - found[0]), x=(0, usual[1] - found[1]))
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
            if capture.boxes is not None:
                return box_mask(capture.boxes, size)
            return np.zeros(size, dtype=bool) if capture.label == "good" else None
        own = self._own.get(capture.frames.get(self.card.reference, capture.mask), size)
        try:
            mask = read_mask(capture.mask)
            _check_mask(mask, capture.label, own)
        except SensorError as error:
            self.refuse(capture, MASK, capture.mask, str(error))
            return None
        mask = np.pad(mask, ((0, size[0] - own[0]), (0, size[1] - own[1])))
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
    few = planes[:, :: max(1, planes.shape[1] // _FEW_PIXELS)]
    few = few[:, np.isfinite(few).all(0)]
    if few.size and (few != few[:, :1]).any():
        return
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
