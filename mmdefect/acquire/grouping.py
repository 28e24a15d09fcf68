"""Frames of several cameras, brought together into captures.

* **By number**: cameras that are triggered by one signal count alike. A lost frame leaves a hole in
  the count and nothing shifts, which is why this way is the safe one.
* **By time**: frames belong together when all of them lie within a window. It takes triggers that
  are further apart than two windows, and clocks that agree.
* A capture that stays incomplete is kept: which cameras are missing is part of what is known of it.
* A frame that comes after its capture was given, or twice, is counted and not used: a capture that
  was seen does not change any more.
* No clock and no camera is asked here: numbers and times are told, so that tests can plant them.
"""

from dataclasses import dataclass, field

from mmdefect.acquire.frame import Frame


@dataclass
class Group:
    """The frames of one trigger.

    Parameters
    ----------
    number : int
        Of the trigger, from 0; by time, of the order in which captures began.
    frames : dict of str to Frame
        By camera.
    damaged : dict of str to str
        Why a camera's frame was refused.
    missing : tuple of str
        Cameras without a usable frame.
    """

    number: int
    frames: dict[str, Frame] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass
class Opened:
    """A group that may still get frames; times in nanoseconds."""

    group: Group
    news: int
    first: int = 0
    last: int = 0


def closed(group: Group, cameras: tuple[str, ...]) -> Group:
    """Give a group that gets no more frames; it knows then which cameras are missing."""
    group.missing = tuple(name for name in cameras if name not in group.frames)
    return group
