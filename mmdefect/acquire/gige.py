"""Cameras of GigE Vision, through Aravis.

* A frame travels in hundreds of packets, and networks lose some. Aravis asks for lost ones again;
  what is still incomplete then is told as damaged with its reason, and its pixels are never looked
  at. A lost packet's place holds what lay in the buffer before: a defect that is not there.
* Frames are counted by the camera, so a frame that was lost whole leaves a hole in the count.
* Every setting goes by its name in the camera's own description (GenICam), as with GenTL.
"""

import ctypes
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmdefect.acquire._aravis import library
from mmdefect.acquire.frame import Damaged, Frame, Part
from mmdefect.acquire.pixels import counts_of, pixel_format
from mmdefect.errors import AcquisitionError

_BUFFERS = 16
_SUCCESS, _IMAGE = 0, 1
_WHY = {
    -1: "unknown",
    1: "cleared",
    2: "time-out",
    3: "missing packets",
    4: "wrong packet",
    5: "size mismatch",
    6: "not filled",
    7: "aborted",
    8: "payload not supported",
}


def cameras() -> list[dict[str, str]]:
    """List the cameras that answer.

    Returns
    -------
    list of dict
        ``id``, ``vendor``, ``model``, ``serial``, ``address``, ``by``.

    Raises
    ------
    AcquisitionError
        When Aravis is not here.
    """
    arv = library()
    arv.call("arv_update_device_list")
    told = []
    for place in range(arv.call("arv_get_n_devices")):
        names = ("id", "vendor", "model", "serial_nbr", "address")
        entry = {
            name.removesuffix("_nbr"): (arv.call(f"arv_get_device_{name}", place) or b"").decode()
            for name in names
        }
        told.append(entry | {"by": "aravis"})
    return told


class GigeCamera:
    """One camera; see `mmdefect.acquire.frame.Camera`.

    Parameters
    ----------
    camera : str
        Its id, or its address.
    features : mapping, optional
        Nodes to be set, by name, in this order.
    packet : int, optional
        Bytes of a packet; the network has to carry so much in one piece.

    Raises
    ------
    AcquisitionError
        When Aravis or the camera is not there, or it does not take a setting.
    """

    def __init__(
        self, camera: str, features: Mapping[str, Any] | None = None, packet: int | None = None
    ) -> None:
        self._arv, self._stream = library(), 0
        try:
            self._camera = self._arv.ask("arv_camera_new", camera.encode())
        except AcquisitionError as error:
            listed = ", ".join(entry["id"] for entry in cameras()) or "none"
            raise AcquisitionError(
                f"camera {camera!r} cannot be opened ({error}); those that answer: {listed}"
            ) from error
        self.id = camera
        for name, value in (features or {}).items():
            self.set_feature(name, value)
        if packet is not None and self._arv.call("arv_camera_is_gv_device", self._camera):
            self._arv.ask("arv_camera_gv_set_packet_size", self._camera, packet)

    def formats(self) -> list[str]:
        """List the pixel formats that the camera can send."""
        return self._arv.texts("arv_camera_dup_available_pixel_formats_as_strings", self._camera)

    def start(self, trigger: str, line: str) -> None:
        """Begin to deliver; see `Camera`."""
        self._arm(trigger, line)
        payload = self._arv.ask("arv_camera_get_payload", self._camera)
        self._stream = self._arv.ask("arv_camera_create_stream", self._camera, None, None)
        for _ in range(_BUFFERS):
            buffer = self._arv.call("arv_buffer_new", payload, None)
            self._arv.call("arv_stream_push_buffer", self._stream, buffer)
        self._arv.ask("arv_camera_start_acquisition", self._camera)

    def trigger(self) -> None:
        """Take one frame now."""
        self._arv.ask("arv_camera_execute_command", self._camera, b"TriggerSoftware")

    def fetch(self, timeout: float) -> Frame | Damaged | None:
        """Give the next frame; see `Camera`."""
        wait = max(int(timeout * 1e6), 1)
        buffer = self._arv.call("arv_stream_timeout_pop_buffer", self._stream, wait)
        arrived = time.monotonic_ns()
        if not buffer:
            return None
        try:
            return self._frame(buffer, arrived)
        finally:
            self._arv.call("arv_stream_push_buffer", self._stream, buffer)

    def stop(self) -> None:
        """Stop delivering."""
        if self._stream:
            self._arv.ask("arv_camera_stop_acquisition", self._camera)
            self._arv.call("g_object_unref", self._stream)
            self._stream = 0

    def close(self) -> None:
        """Let go of the camera."""
        self.stop()
        if self._camera:
            self._arv.call("g_object_unref", self._camera)
            self._camera = 0

    def _frame(self, buffer: int, arrived: int) -> Frame | Damaged:
        """Copy a buffer's image out, or say what is wrong with it."""
        number = int(self._arv.call("arv_buffer_get_frame_id", buffer))
        status = self._arv.call("arv_buffer_get_status", buffer)
        if status != _SUCCESS:
            why = _WHY.get(status, f"status {status}")
            return Damaged(self.id, why, number or None, arrived)
        try:
            part = self._part(buffer)
        except AcquisitionError as error:
            return Damaged(self.id, str(error), number, arrived)
        taken = int(self._arv.call("arv_buffer_get_timestamp", buffer))
        return Frame(self.id, number, arrived, (part,), taken or None)

    def _part(self, buffer: int) -> Part:
        """Copy the image of a whole buffer."""
        told = self._arv.call("arv_buffer_get_payload_type", buffer)
        if told != _IMAGE:
            raise AcquisitionError(f"payload type {told} is not read here")
        size = ctypes.c_size_t()
        start = self._arv.call("arv_buffer_get_data", buffer, ctypes.byref(size))
        body = np.ctypeslib.as_array((ctypes.c_uint8 * size.value).from_address(start))
        padding, below = ctypes.c_int(), ctypes.c_int()
        self._arv.call(
            "arv_buffer_get_image_padding", buffer, ctypes.byref(padding), ctypes.byref(below)
        )
        known = pixel_format(self._arv.call("arv_buffer_get_image_pixel_format", buffer))
        rows = self._arv.call("arv_buffer_get_image_height", buffer)
        columns = self._arv.call("arv_buffer_get_image_width", buffer)
        return Part(known.name, counts_of(body, known.name, (rows, columns), padding.value))

    def _arm(self, trigger: str, line: str) -> None:
        """Tell the camera what starts a frame."""
        self.set_feature("AcquisitionMode", "Continuous")
        if trigger == "free":
            if self._has("TriggerMode"):
                self.set_feature("TriggerMode", "Off")
            return
        if not self._has("TriggerMode"):
            raise AcquisitionError(
                f'camera {self.id!r} has no trigger (no node TriggerMode); use trigger = "free"'
            )
        self.set_feature("TriggerSelector", "FrameStart")
        self.set_feature("TriggerMode", "On")
        self.set_feature("TriggerSource", "Software" if trigger == "software" else line)

    def _has(self, name: str) -> bool:
        found = self._arv.ask("arv_camera_is_feature_available", self._camera, name.encode())
        return bool(found)

    def set_feature(self, name: str, value: object) -> None:
        """Set a node.

        Parameters
        ----------
        name : str
        value : str, int, float or bool

        Raises
        ------
        AcquisitionError
            When the camera does not take it.
        """
        ways = {bool: "boolean", int: "integer", float: "float", str: "string"}
        way = ways.get(type(value))
        if way is None:
            raise AcquisitionError(
                f"{name} = {value!r} for camera {self.id!r} is no text, number or flag"
            )
        given = value.encode() if isinstance(value, str) else value
        try:
            self._arv.ask(f"arv_camera_set_{way}", self._camera, name.encode(), given)
        except AcquisitionError as error:
            raise AcquisitionError(
                f"camera {self.id!r} does not take {name} = {value!r}: {error}"
            ) from error
