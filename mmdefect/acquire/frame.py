"""What a camera delivers: frames that are whole, and word of those that are not."""

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from mmdefect.acquire.scan3d import Scan3d


@dataclass(frozen=True)
class Part:
    """One image of a frame.

    Parameters
    ----------
    format : str
        The name of its pixel format in the Pixel Format Naming Convention (PFNC).
    counts : ndarray (y, x) or (y, x, channel)
        As the camera counted; Bayer mosaics as they are.
    """

    format: str
    counts: NDArray[Any]


@dataclass(frozen=True)
class Frame:
    """A whole frame.

    Parameters
    ----------
    camera : str
    number : int
        Counted by the camera, from the start of the acquisition.
    arrived_ns : int
        When it arrived, nanoseconds by this computer's monotonic clock.
    parts : tuple of Part
    taken_ns : int, optional
        When it was taken, nanoseconds by the camera's own clock, if it tells.
    scan3d : Scan3d, optional
        What its coordinates mean.
    """

    camera: str
    number: int
    arrived_ns: int
    parts: tuple[Part, ...]
    taken_ns: int | None = None
    scan3d: Scan3d | None = None


@dataclass(frozen=True)
class Damaged:
    """A frame that was not used, and why.

    Parameters
    ----------
    camera : str
    why : str
        Short, to be counted by.
    number : int, optional
        The camera's count of it, where that is known.
    arrived_ns : int
    """

    camera: str
    why: str
    number: int | None = None
    arrived_ns: int = 0


class Camera(Protocol):
    """What a session needs of a camera, whatever drives it."""

    id: str

    def start(self, trigger: str, line: str) -> None:
        """Begin to deliver.

        Parameters
        ----------
        trigger : str
            ``software``, ``hardware`` or ``free`` (it runs by itself).
        line : str
            Where a hardware trigger comes in.
        """

    def trigger(self) -> None:
        """Take one frame now."""

    def fetch(self, timeout: float) -> Frame | Damaged | None:
        """Give the next frame.

        Parameters
        ----------
        timeout : float
            Seconds to wait.

        Returns
        -------
        Frame, Damaged or None
            None when nothing came.
        """

    def stop(self) -> None:
        """Stop delivering."""

    def close(self) -> None:
        """Let go of the camera."""
