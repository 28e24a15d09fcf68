"""Cameras behind GenTL producers, through harvesters: USB3 Vision, CoaXPress, 3D scanners.

* The maker's driver is a file ``.cti``; those named in the environment variable
  ``GENICAM_GENTL64_PATH`` are found by themselves, as the standard asks.
* Harvesters only moves buffers here. What is in them is read by `mmdefect.acquire.pixels`, the same
  for every way a camera can be reached, and tested byte by byte.
* A buffer is used when the producer says that it is complete, filled to the size it announced, and
  every image in it holds what its format and size promise. All others are counted.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from mmdefect.acquire.frame import Damaged, Frame, Part
from mmdefect.acquire.pixels import counts_of, pixel_format
from mmdefect.acquire.scan3d import Scan3d, read_scan3d
from mmdefect.errors import AcquisitionError

_PATHS = "GENICAM_GENTL64_PATH"
_BUFFERS = 8
_MULTI_PART, _IMAGE = 10, 1
_NAMES = {"vendor": "vendor", "model": "model", "serial": "serial_number"}


def producers(named: Iterable[str | Path] = ()) -> list[Path]:
    """Find the GenTL producers.

    Parameters
    ----------
    named : iterable of str or Path
        Files ``.cti``; ``viky`` is the virtual one that comes with genicam. Empty for those that
        ``GENICAM_GENTL64_PATH`` leads to.

    Returns
    -------
    list of Path

    Raises
    ------
    AcquisitionError
        When one is not there.
    """
    given = [_virtual() if str(name) == "viky" else Path(name) for name in named]
    for path in given:
        if not path.is_file():
            raise AcquisitionError(
                f"there is no GenTL producer '{path}'; give the path of the camera maker's .cti "
                "file, or 'viky' for the virtual one"
            )
    if given:
        return given
    folders = [Path(text) for text in os.environ.get(_PATHS, "").split(os.pathsep) if text]
    return sorted(path for folder in folders for path in folder.glob("*.cti"))


def _virtual() -> Path:
    """Find the virtual producer that comes with genicam."""
    _library()
    import genicam

    return Path(str(genicam.__file__)).parent / "viky.cti"


def _library() -> Any:
    """Import harvesters, or say how to get it."""
    try:
        from harvesters import core
    except ImportError as error:
        raise AcquisitionError(
            f"cameras behind GenTL need harvesters and genicam ({error}); install them with: "
            "pip install 'mmdefect[rig]'"
        ) from error
    return core


class Gentl:
    """The cameras of some producers; to be closed.

    Parameters
    ----------
    named : iterable of str or Path
        As in `producers`.
    """

    def __init__(self, named: Iterable[str | Path] = ()) -> None:
        self._harvester = _library().Harvester()
        for path in producers(named):
            self._harvester.add_file(str(path))
        self._harvester.update()

    def __enter__(self) -> "Gentl":
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the producers."""
        self.close()

    def close(self) -> None:
        """Let go of the producers."""
        self._harvester.reset()

    def cameras(self) -> list[dict[str, str]]:
        """List the cameras.

        Returns
        -------
        list of dict
            ``id``, ``vendor``, ``model``, ``serial``, ``by``.
        """
        told = []
        for device in self._harvester.device_info_list:
            entry = {"id": device.id_, "by": "gentl"}
            for ours, theirs in _NAMES.items():
                entry[ours] = str(_told(device, theirs))
            told.append(entry)
        return told

    def open(
        self, camera: str, features: Mapping[str, Any], parts: frozenset[str]
    ) -> "GentlCamera":
        """Open a camera.

        Parameters
        ----------
        camera : str
            Its id.
        features : mapping
            Nodes to be set, by name, in this order.
        parts : set of str
            Components that are wanted (``Intensity``, ``Range`` …); others are switched off.

        Returns
        -------
        GentlCamera

        Raises
        ------
        AcquisitionError
            When there is no such camera, or it does not take a setting.
        """
        there = [entry["id"] for entry in self.cameras()]
        if camera not in there:
            raise AcquisitionError(
                f"there is no camera {camera!r}; there are: {', '.join(there) or 'none'}"
            )
        try:
            acquirer = self._harvester.create({"id_": camera})
        except Exception as error:
            raise AcquisitionError(
                f"camera {camera!r} cannot be opened; does another program hold it? It is "
                f"said: {' '.join(str(error).split())}"
            ) from error
        try:
            return GentlCamera(camera, acquirer, features, parts)
        except BaseException:
            acquirer.destroy()
            raise


class GentlCamera:
    """One camera; see `mmdefect.acquire.frame.Camera`."""

    def __init__(
        self, camera: str, acquirer: Any, features: Mapping[str, Any], parts: frozenset[str]
    ) -> None:
        self.id = camera
        self._acquirer = acquirer
        self._nodes = acquirer.remote_device.node_map
        self._scan3d: Scan3d | None = None
        self._lost = 0
        acquirer.add_callback(acquirer.Events.INCOMPLETE_BUFFER, _when_lost(self.count_lost))
        acquirer.num_buffers = max(_BUFFERS, acquirer.min_num_buffers)
        self._switch(parts)
        for name, value in features.items():
            self._set(name, value)

    def node(self, name: str) -> Any:
        """Give a node that can be read; None where there is none."""
        found = getattr(self._nodes, name, None)
        if found is None:
            return None
        return None if _told(found, "value") == "" else found

    def count_lost(self) -> None:
        """Count a buffer that was thrown away because it was incomplete."""
        self._lost += 1

    def start(self, trigger: str, line: str) -> None:
        """Begin to deliver; see `Camera`."""
        self._arm(trigger, line)
        has_3d = self.node("Scan3dDistanceUnit") is not None
        self._scan3d = read_scan3d(self.node) if has_3d else None
        self._acquirer.start()

    def trigger(self) -> None:
        """Take one frame now."""
        self._nodes.TriggerSoftware.execute()

    def fetch(self, timeout: float) -> Frame | Damaged | None:
        """Give the next frame; see `Camera`."""
        before = self._lost
        buffer = self._acquirer.try_fetch(timeout=max(timeout, 1e-3), is_raw=True)
        arrived = time.monotonic_ns()
        if buffer is None:
            damaged = self._lost > before
            return Damaged(self.id, "incomplete buffer", None, arrived) if damaged else None
        try:
            return self._frame(buffer, arrived)
        finally:
            buffer.parent.queue_buffer(buffer)

    def stop(self) -> None:
        """Stop delivering."""
        self._acquirer.stop()

    def close(self) -> None:
        """Let go of the camera."""
        self._acquirer.destroy()

    def _frame(self, buffer: Any, arrived: int) -> Frame | Damaged:
        """Copy a buffer's images out, or say what is wrong with it."""
        number = int(buffer.frame_id)
        try:
            _check_filled(buffer)
            parts = tuple(_parts(buffer))
            scan3d = self._of_this_frame()
        except AcquisitionError as error:
            return Damaged(self.id, str(error), number, arrived)
        if not parts:
            return Damaged(self.id, "no image in the buffer", number, arrived)
        taken = _told(buffer, "timestamp_ns")
        return Frame(self.id, number, arrived, parts, int(taken) if taken else None, scan3d)

    def _of_this_frame(self) -> Scan3d | None:
        """Give what the coordinates of the frame in hand mean: its own word before the camera's."""
        if self._scan3d is not None and self.node("ChunkScan3dDistanceUnit") is not None:
            return read_scan3d(self.node, "ChunkScan3d")
        return self._scan3d

    def _arm(self, trigger: str, line: str) -> None:
        """Tell the camera what starts a frame."""
        mode = getattr(self._nodes, "TriggerMode", None)
        if trigger == "free":
            if mode is not None:
                self._set("TriggerMode", "Off")
            return
        if mode is None:
            raise AcquisitionError(
                f'camera {self.id!r} has no trigger (no node TriggerMode); use trigger = "free"'
            )
        self._set("TriggerSelector", "FrameStart")
        self._set("TriggerMode", "On")
        self._set("TriggerSource", "Software" if trigger == "software" else line)

    def _switch(self, parts: frozenset[str]) -> None:
        """Switch the wanted components on and the others off."""
        selector = getattr(self._nodes, "ComponentSelector", None)
        if selector is None or not parts:
            return
        there = list(selector.symbolics)
        lacking = sorted(parts - set(there))
        if lacking:
            raise AcquisitionError(
                f"camera {self.id!r} has no component {lacking[0]!r}; there are: {', '.join(there)}"
            )
        for name in sorted(there, key=lambda name: name not in parts):
            selector.value = name
            if name in parts:
                self._set("ComponentEnable", True)
            else:
                self._switch_off()
        selector.value = next(name for name in there if name in parts)

    def _switch_off(self) -> None:
        """Switch a component off; some cameras always send their picture, which does no harm."""
        with suppress(AcquisitionError):
            self._set("ComponentEnable", False)

    def _set(self, name: str, value: Any) -> None:
        """Set a node, or say why not."""
        found = getattr(self._nodes, name, None)
        if found is None:
            raise AcquisitionError(f"camera {self.id!r} has no feature {name!r}; correct its name")
        try:
            if found.value != value:
                found.value = value
        except Exception as error:
            said = " ".join(" : ".join(str(error).split(" : ")[:2]).split())
            raise AcquisitionError(
                f"camera {self.id!r} does not take {name} = {value!r}: {said}"
            ) from error


def _told(thing: Any, name: str) -> Any:
    """Ask a producer for what it may not know; empty text when it does not."""
    try:
        return getattr(thing, name)
    except Exception:  # NotAvailable, NotImplemented and others, by producer
        return ""


def _when_lost(count: Callable[[], None]) -> Any:
    """Make what harvesters calls when it throws an incomplete buffer away."""
    told = {"emit": lambda self, context=None: count()}
    return type("Lost", (_library().Callback,), told)()


def _check_filled(buffer: Any) -> None:
    """Refuse a buffer that the producer calls complete but did not fill."""
    if not buffer.is_complete():
        raise AcquisitionError("incomplete buffer")
    filled, promised = _told(buffer, "size_filled"), _told(buffer, "data_size")
    if filled != "" and promised != "" and filled < promised:
        raise AcquisitionError("buffer not filled")


def _parts(buffer: Any) -> Iterator[Part]:
    """Copy the images of a buffer."""
    body = np.frombuffer(buffer.raw_buffer, np.uint8)
    big = _told(buffer, "pixel_endianness") == 2
    if buffer.payload_type == _MULTI_PART:
        for part in buffer.parts:
            known = pixel_format(int(part.data_format))
            padding = _told(part, "x_padding") or 0
            held = body[part.data_offset : part.data_offset + part.data_size]
            counts = counts_of(held, known.name, (part.height, part.width), padding, big_endian=big)
            yield Part(known.name, counts)
        return
    if buffer.payload_type != _IMAGE:
        raise AcquisitionError(f"payload type {buffer.payload_type} is not read here")
    known = pixel_format(int(buffer.pixel_format))
    held = body[_told(buffer, "image_offset") or 0 :]
    padding = _told(buffer, "padding_x") or 0
    size = (int(buffer.height), int(buffer.width))
    yield Part(known.name, counts_of(held, known.name, size, padding, big_endian=big))
