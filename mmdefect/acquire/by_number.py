"""Frames grouped by the cameras' counts: see `mmdefect.acquire.grouping`."""

from collections import Counter
from collections.abc import Callable, Iterable

from mmdefect.acquire.frame import Damaged, Frame
from mmdefect.acquire.grouping import Group, Opened, closed

_WRAP_16 = 65535
_REMEMBERED = 1000


class Counting:
    """Makes a camera's count one that never goes round and begins at 0.

    GigE Vision counts frames in 16 bits from 1 to 65,535 and then from 1 again, unless the camera
    knows better; some begin anew when they are started, others go on.

    Parameters
    ----------
    first : int, optional
        The count of the frame that is number 0; None when that is to be found out, see `begin`.
    wraps : int
        How many counts there are before they come again; 0 for never.
    """

    def __init__(self, first: int | None = None, wraps: int = _WRAP_16) -> None:
        self._first, self._wraps, self._last = first, wraps, first or 0

    @property
    def begun(self) -> bool:
        """Whether it is known which count is number 0."""
        return self._first is not None

    def begin(self, number: int, place: int) -> None:
        """Learn which count is number 0.

        Parameters
        ----------
        number : int
            As the camera tells it.
        place : int
            Which number that is.
        """
        self._first, self._last = number - place, number

    def of(self, number: int) -> int:
        """Count on.

        Parameters
        ----------
        number : int
            As the camera tells it.

        Returns
        -------
        int
            From 0.
        """
        assert self._first is not None
        if self._wraps and number <= self._wraps:
            near = round((self._last - number) / self._wraps)
            number += max(near, 0) * self._wraps
        self._last = max(self._last, number)
        return number - self._first


class ByNumber:
    """Groups frames by the cameras' counts.

    Counts begin anywhere. The first frame of a camera belongs to the trigger whose first frame
    arrived nearest in time, before it or after it, so that a first frame that was lost shifts
    nothing; from then on only counts matter.

    Parameters
    ----------
    cameras : sequence of str
    patience : int
        Nanoseconds for which a group waits after its last frame.
    counting : dict of str to Counting, optional
        How each camera counts.
    near : int
        Nanoseconds within which a camera's first frame belongs to a trigger without waiting for
        the next one to compare.

    Attributes
    ----------
    unused : Counter of (str, str)
        Frames that were whole but not used, by camera and reason.
    """

    def __init__(
        self,
        cameras: Iterable[str],
        patience: int,
        counting: dict[str, Counting] | None = None,
        near: int = 0,
    ) -> None:
        self._cameras = tuple(cameras)
        self._patience = patience
        self._counting = counting or {name: Counting() for name in self._cameras}
        self._near = near
        self._arrived: dict[int, int] = {}
        self._held: dict[str, list[Frame | Damaged]] = {}
        self._open: dict[int, Opened] = {}
        self._given: set[int] = set()
        self._floor = -1
        self._reached: dict[str, int] = {}
        self.unused: Counter[tuple[str, str]] = Counter()

    def add(self, frame: Frame | Damaged, now: int) -> list[Group]:
        """Take a frame in.

        Parameters
        ----------
        frame : Frame or Damaged
        now : int
            Nanoseconds by this computer's clock.

        Returns
        -------
        list of Group
            Those that are complete now, or can no longer become so: every camera that is missing
            has already delivered a later frame.
        """
        if frame.number is None:
            return []
        if not self._begins(frame):
            self._held.setdefault(frame.camera, []).append(frame)
            return []
        groups = self._add(frame, now)
        latest = max(self._arrived.values())
        return groups + self._released(now, lambda held: held.arrived_ns < latest)

    def _begins(self, frame: Frame | Damaged) -> bool:
        """Tell whether a camera's count is known, or can be known from this frame."""
        counting = self._counting[frame.camera]
        if not counting.begun and frame.camera not in self._held and frame.number is not None:
            place, gap = self._nearest(frame.arrived_ns)
            if gap <= self._near:
                counting.begin(frame.number, place)
        return counting.begun

    def _nearest(self, arrived: int) -> tuple[int, int]:
        """Find the trigger whose first frame arrived nearest, and how far off; the first is 0."""
        gaps = ((abs(time - arrived), number) for number, time in self._arrived.items())
        gap, number = min(gaps, default=(0, 0))
        return number, gap

    def _released(self, now: int, ripe: Callable[[Frame | Damaged], bool]) -> list[Group]:
        """Place the frames that waited for something to be compared with."""
        groups: list[Group] = []
        for camera in [name for name, held in self._held.items() if ripe(held[0])]:
            held = self._held.pop(camera)
            number, first = held[0].number, held[0].arrived_ns
            assert number is not None
            self._counting[camera].begin(number, self._nearest(first)[0])
            for frame in held:
                groups += self._add(frame, now)
        return groups

    def _add(self, frame: Frame | Damaged, now: int) -> list[Group]:
        """Put a frame of a known count into its group."""
        assert frame.number is not None
        number = self._counting[frame.camera].of(frame.number)
        self._remember(number, frame.arrived_ns)
        if number in self._given or number <= self._floor:
            self.unused[frame.camera, "late"] += isinstance(frame, Frame)
            return []
        opened = self._open.setdefault(number, Opened(Group(number), now))
        opened.news = now
        known = opened.group.frames.keys() | opened.group.damaged.keys()
        if frame.camera in known:
            self.unused[frame.camera, "twice"] += isinstance(frame, Frame)
            return []
        if isinstance(frame, Frame):
            opened.group.frames[frame.camera] = frame
        else:
            opened.group.damaged[frame.camera] = frame.why
        self._reached[frame.camera] = max(self._reached.get(frame.camera, -1), number)
        return self._give(n for n in self._open if self._settled(n))

    def number(self, frame: Frame | Damaged, begins_at: int) -> int:
        """Tell which trigger a frame belongs to, where that is known.

        Parameters
        ----------
        frame : Frame or Damaged
            With a number.
        begins_at : int
            The trigger that a camera's first frame belongs to.

        Returns
        -------
        int
        """
        assert frame.number is not None
        counting = self._counting[frame.camera]
        if not counting.begun:
            counting.begin(frame.number, begins_at)
        return counting.of(frame.number)

    def expired(self, now: int) -> list[Group]:
        """Give the groups that have waited long enough.

        Parameters
        ----------
        now : int
            In nanoseconds.

        Returns
        -------
        list of Group
            In the order of their numbers.
        """
        ripe = self._released(now, lambda held: now - held.arrived_ns >= self._patience)
        return ripe + self._give(n for n, o in self._open.items() if now - o.news >= self._patience)

    def rest(self) -> list[Group]:
        """Give all groups that are left, in the order of their numbers."""
        return self._released(0, lambda _: True) + self._give(self._open)

    def _remember(self, number: int, arrived: int) -> None:
        """Know when the first frame of a trigger arrived, of the last thousand."""
        if number not in self._arrived:
            self._arrived[number] = arrived
            if len(self._arrived) > _REMEMBERED:
                del self._arrived[next(iter(self._arrived))]

    def _settled(self, number: int) -> bool:
        group = self._open[number].group
        known = group.frames.keys() | group.damaged.keys()
        return all(n in known or self._reached.get(n, -1) > number for n in self._cameras)

    def _give(self, numbers: Iterable[int]) -> list[Group]:
        """Close groups; remember them without remembering for ever."""
        chosen = sorted(numbers)
        groups = [self._open.pop(number).group for number in chosen]
        self._given |= set(chosen)
        while self._floor + 1 in self._given:
            self._floor += 1
            self._given.remove(self._floor)
        if len(self._given) > _REMEMBERED:
            self._floor = max(self._floor, sorted(self._given)[-_REMEMBERED])
            self._given = {number for number in self._given if number > self._floor}
        return [closed(group, self._cameras) for group in groups]
