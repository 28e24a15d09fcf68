"""The few functions of libaravis that are needed, declared for ctypes.

The library's own binding belongs to the system's Python alone and is not to be had from a package
index; a program in a virtual environment, of any version of Python, cannot import it. The C
interface of Aravis 0.8 is stable, small and enough.
"""

import ctypes
import ctypes.util
from ctypes import POINTER, c_char_p, c_double, c_int, c_size_t, c_uint, c_uint64, c_void_p
from functools import cache
from typing import Any

from mmdefect.errors import AcquisitionError

_NAMES = ("libaravis-0.8.so.0", "libaravis-0.8.dylib", "libaravis-0.8-0.dll")
_ERROR = POINTER(c_void_p)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "arv_update_device_list": (None, ()),
    "arv_get_n_devices": (c_uint, ()),
    "arv_get_device_id": (c_char_p, (c_uint,)),
    "arv_get_device_protocol": (c_char_p, (c_uint,)),
    "arv_get_device_vendor": (c_char_p, (c_uint,)),
    "arv_get_device_model": (c_char_p, (c_uint,)),
    "arv_get_device_serial_nbr": (c_char_p, (c_uint,)),
    "arv_get_device_address": (c_char_p, (c_uint,)),
    "arv_camera_new": (c_void_p, (c_char_p, _ERROR)),
    "arv_camera_is_gv_device": (c_int, (c_void_p,)),
    "arv_camera_get_payload": (c_uint, (c_void_p, _ERROR)),
    "arv_camera_dup_available_pixel_formats_as_strings": (
        c_void_p,
        (c_void_p, POINTER(c_uint), _ERROR),
    ),
    "arv_camera_is_feature_available": (c_int, (c_void_p, c_char_p, _ERROR)),
    "arv_camera_set_boolean": (None, (c_void_p, c_char_p, c_int, _ERROR)),
    "arv_camera_set_string": (None, (c_void_p, c_char_p, c_char_p, _ERROR)),
    "arv_camera_set_integer": (None, (c_void_p, c_char_p, ctypes.c_int64, _ERROR)),
    "arv_camera_set_float": (None, (c_void_p, c_char_p, c_double, _ERROR)),
    "arv_camera_execute_command": (None, (c_void_p, c_char_p, _ERROR)),
    "arv_camera_gv_set_packet_size": (None, (c_void_p, c_int, _ERROR)),
    "arv_camera_create_stream": (c_void_p, (c_void_p, c_void_p, c_void_p, _ERROR)),
    "arv_camera_start_acquisition": (None, (c_void_p, _ERROR)),
    "arv_camera_stop_acquisition": (None, (c_void_p, _ERROR)),
    "arv_buffer_new": (c_void_p, (c_size_t, c_void_p)),
    "arv_buffer_get_status": (c_int, (c_void_p,)),
    "arv_buffer_get_data": (c_void_p, (c_void_p, POINTER(c_size_t))),
    "arv_buffer_get_payload_type": (c_int, (c_void_p,)),
    "arv_buffer_get_frame_id": (c_uint64, (c_void_p,)),
    "arv_buffer_get_timestamp": (c_uint64, (c_void_p,)),
    "arv_buffer_get_image_width": (c_int, (c_void_p,)),
    "arv_buffer_get_image_height": (c_int, (c_void_p,)),
    "arv_buffer_get_image_padding": (None, (c_void_p, POINTER(c_int), POINTER(c_int))),
    "arv_buffer_get_image_pixel_format": (ctypes.c_uint32, (c_void_p,)),
    "arv_stream_push_buffer": (None, (c_void_p, c_void_p)),
    "arv_stream_timeout_pop_buffer": (c_void_p, (c_void_p, c_uint64)),
    "arv_stream_get_statistics": (
        None,
        (c_void_p, POINTER(c_uint64), POINTER(c_uint64), POINTER(c_uint64)),
    ),
}
_GLIB = {"g_object_unref": c_void_p, "g_free": c_void_p, "g_clear_error": _ERROR}


class _Error(ctypes.Structure):
    """GLib's error: domain, code, text."""

    _fields_ = (("domain", ctypes.c_uint32), ("code", c_int), ("message", c_char_p))


class Library:
    """libaravis with its functions by name; errors come as `AcquisitionError`."""

    def __init__(self) -> None:
        self._own = _load()
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._own, name)
            function.restype, function.argtypes = result, arguments
        for name, argument in _GLIB.items():
            function = getattr(self._own, name)
            function.restype, function.argtypes = None, (argument,)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function whose last argument is not GLib's error.

        Parameters
        ----------
        name : str
        *arguments
        """
        return getattr(self._own, name)(*arguments)

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call a function whose last argument is GLib's error.

        Parameters
        ----------
        name : str
        *arguments
            Without the error.

        Raises
        ------
        AcquisitionError
            With Aravis's own words.
        """
        error = c_void_p()
        result = getattr(self._own, name)(*arguments, ctypes.byref(error))
        if error.value:
            held = ctypes.cast(error, POINTER(_Error)).contents
            said = (held.message or b"").decode(errors="replace")
            self._own.g_clear_error(ctypes.byref(error))
            raise AcquisitionError(said)
        return result

    def texts(self, name: str, camera: int) -> list[str]:
        """Call a function that gives a list of texts."""
        count = c_uint()
        listed = self.ask(name, camera, ctypes.byref(count))
        if not listed:
            return []
        held = ctypes.cast(listed, POINTER(c_char_p))
        texts = [(held[place] or b"").decode() for place in range(count.value)]
        self._own.g_free(listed)
        return texts


def _load() -> Any:
    """Load the library by its names, or say how to get it."""
    found = ctypes.util.find_library("aravis-0.8")
    for name in [*_NAMES, *([found] if found else [])]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise AcquisitionError(
        "cameras of GigE Vision need the library Aravis 0.8, which is not here; on Debian and "
        "Ubuntu: apt-get install libaravis-0.8-0"
    )


@cache
def library() -> Library:
    """Give the library, loaded once.

    Raises
    ------
    AcquisitionError
        When it is not here.
    """
    return Library()
