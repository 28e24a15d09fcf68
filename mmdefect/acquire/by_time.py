"""Frames grouped by a window of time: see `mmdefect.acquire.grouping`."""

from collections import Counter
from collections.abc import Iterable

from mmdefect.acquire.frame import Damaged, Frame
from mmdefect.acquire.grouping import Group, Opened, closed


class ByTime:
    """Groups frames that lie within a window of time.

    Parameters
    ----------
    cameras : sequence of str
    window : int
        Nanoseconds between the first and the last frame of a capture, at most.
    patience : int
        Nanoseconds for which a group waits after its last frame.
    arrival : bool
        Whether the time of arrival counts, instead of the camera's own clock.

    Attributes
    ----------
    unused : Counter of (str, str)
        Frames that were whole but not used, by camera and reason.
    """

    def __init__(
        self, cameras: Iterable[str], window: int, patience: int, *, arrival: bool = True
    ) -> None:
        self._cameras = tuple(cameras)
        self._window, self._patience, self._arrival = window, patience, arrival
        self._open: list[Opened] = []
        self._closed: list[tuple[int, int]] = []
        self._begun = 0
        self.unused: Counter[tuple[str, str]] = Counter()

    def add(self, frame: Frame | Damaged, now: int) -> list[Group]:
        """Take a frame in.

        Parameters
        ----------
        frame : Frame or Damaged
            A damaged one has no trustworthy time and opens no group.
        now : int
            Nanoseconds by this computer's clock.

        Returns
        -------
        list of Group
            One that is complete now, or none.
        """
        if isinstance(frame, Damaged):
            return []
        time = frame.arrived_ns if self._arrival else frame.taken_ns
        if time is None:
            self.unused[frame.camera, "no time"] += 1
            return []
        fitting = [o for o in self._open if self._fits(o.first, o.last, time)]
        free = [o for o in fitting if frame.camera not in o.group.frames]
        if fitting and not free:
            self.unused[frame.camera, "twice"] += 1
            return []
        if not free and any(self._fits(first, last, time) for first, last in self._closed):
            self.unused[frame.camera, "late"] += 1
            return []
        if free:
            opened = min(free, key=lambda o: abs(o.first - time))
        else:
            opened = Opened(Group(self._begun), now, time, time)
            self._begun += 1
            self._open.append(opened)
        opened.group.frames[frame.camera] = frame
        opened.first, opened.last = min(opened.first, time), max(opened.last, time)
        opened.news = now
        return self._give([opened] if len(opened.group.frames) == len(self._cameras) else [])

    def expired(self, now: int) -> list[Group]:
        """Give the groups that have waited long enough.

        Parameters
        ----------
        now : int
            In nanoseconds.

        Returns
        -------
        list of Group
            In the order in which they began.
        """
        return self._give([o for o in self._open if now - o.news >= self._patience])

    def rest(self) -> list[Group]:
        """Give all groups that are left, in the order in which they began."""
        return self._give(list(self._open))

    def _fits(self, first: int, last: int, time: int) -> bool:
        return max(last, time) - min(first, time) <= self._window

    def _give(self, groups: list[Opened]) -> list[Group]:
        for opened in groups:
            self._open.remove(opened)
            self._closed = [*self._closed[-2 * len(self._cameras) :], (opened.first, opened.last)]
        return [closed(opened.group, self._cameras) for opened in groups]
