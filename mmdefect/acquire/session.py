"""Cameras that run together: frames in, captures out, every loss counted.

* Each camera has a thread that does nothing but wait for it, so that times of arrival mean
  something and a slow camera holds none up. Everything else happens where the captures are asked
  for.
* **Software trigger**: all cameras are told, then all are waited for; the next trigger is sent only
  when the capture is settled. A frame of an earlier trigger is late and not used. A camera whose
  frames are always late did not take a trigger, and ends the session.
* **Hardware trigger**: the cameras wait for their line; captures come as they come.
* **Free**: cameras without a trigger run by themselves, and captures are brought together by time.
  Frames are dropped while nobody asks, so that a capture is of now.
* Counts of frames are trusted, but not blindly: frames of one count that arrived far from each
  other mean that a camera missed its first trigger, and everything after is off by one. Such a
  capture ends the session with an error instead of a data set of mixed parts.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, Queue
from threading import Event, Thread
from typing import Self

from mmdefect.acquire.by_number import ByNumber
from mmdefect.acquire.by_time import ByTime
from mmdefect.acquire.frame import Camera, Damaged, Frame
from mmdefect.acquire.grouping import Group
from mmdefect.acquire.setup import GIGE, Setup
from mmdefect.errors import AcquisitionError

_STEP = 0.05
_FAR_MS = 500.0
_MOST_BEHIND = 3


@dataclass
class Taken:
    """One capture as the cameras gave it.

    Parameters
    ----------
    number : int
        Of the trigger, from 0.
    frames : dict of str to Frame
        By camera.
    missing : tuple of str
        Cameras without a usable frame.
    damaged : dict of str to str
        Why a camera's frame was refused.
    when : datetime
        When the first of its frames was given, UTC, by this computer's clock.
    """

    number: int
    frames: dict[str, Frame]
    missing: tuple[str, ...]
    damaged: dict[str, str] = field(default_factory=dict)
    when: datetime = field(default_factory=lambda: datetime.now(UTC))


class Session:
    """Runs the cameras of a setup; to be used in a ``with``.

    Parameters
    ----------
    setup : Setup
    cameras : mapping of str to Camera, optional
        By the setup's names; opened by the setup when not given.

    Attributes
    ----------
    refused : Counter of (str, str)
        Frames that were not used, by camera and reason.
    """

    def __init__(self, setup: Setup, cameras: Mapping[str, Camera] | None = None) -> None:
        self.setup = setup
        self.refused: Counter[tuple[str, str]] = Counter()
        self._given = cameras
        self._cameras: dict[str, Camera] = {}
        self._queue: Queue[Frame | Damaged | BaseException] = Queue()
        self._ending, self._stack = Event(), ExitStack()
        self._threads: list[Thread] = []
        self._count = 0
        self._sent = -1
        self._behind: Counter[str] = Counter()
        self._grouper = self._new_grouper()

    def __enter__(self) -> Self:
        """Open and start the cameras."""
        try:
            self._cameras = dict(self._given) if self._given else self._opened()
            for name, camera in self._cameras.items():
                self._stack.callback(camera.close)
                camera.start(self.setup.trigger, self.setup.line)
                self._stack.callback(camera.stop)
                thread = Thread(target=self._listen, args=(name, camera), daemon=True)
                self._threads.append(thread)
            for thread in self._threads:
                thread.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and close the cameras."""
        self._ending.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._stack.close()

    def captures(self, count: int | None = None, *, idle: float | None = None) -> Iterator[Taken]:
        """Give captures.

        Parameters
        ----------
        count : int, optional
            How many; without end by default.
        idle : float, optional
            Seconds without any frame after which there are no more.

        Yields
        ------
        Taken

        Raises
        ------
        AcquisitionError
            When a camera fails, or the cameras are out of step.
        """
        given = 0
        while count is None or given < count:
            groups = self._triggered() if self.setup.trigger == "software" else self._came(idle)
            if not groups:
                return
            for group in groups[: None if count is None else count - given]:
                given += 1
                yield self._taken(group)

    def told(self) -> dict[str, dict[str, int]]:
        """Tell how many frames of each camera were refused, by reason."""
        every = self.refused.copy()
        if self.setup.trigger != "free":  # cameras that run by themselves give more than is asked
            every += self._grouper.unused
        told: dict[str, dict[str, int]] = {}
        for (camera, why), count in sorted(every.items()):
            told.setdefault(camera, {})[why] = count
        return told

    def _triggered(self) -> list[Group]:
        """Send one trigger and wait for what comes of it."""
        while not self._queue.empty():
            self._too_late(self._queue.get())
        self._sent += 1
        for camera in self._cameras.values():
            camera.trigger()
        end = time.monotonic() + self.setup.timeout_s
        while time.monotonic() < end:
            groups = self._next(min(_STEP, self.setup.timeout_s))
            if groups:
                return groups
        left = self._grouper.rest()
        return left or [Group(self._count, {}, {}, tuple(self._cameras))]

    def _came(self, idle: float | None) -> list[Group]:
        """Wait for a capture that nobody here triggered."""
        if self.setup.trigger == "free":
            self._drop_old()
        last = time.monotonic()
        while idle is None or time.monotonic() - last < idle:
            before = self._queue.qsize()
            groups = self._next(_STEP)
            if groups:
                return groups
            if before:
                last = time.monotonic()
        return self._grouper.rest()

    def _next(self, wait: float) -> list[Group]:
        """Take one frame from the queue into its group."""
        try:
            arrived = self._queue.get(timeout=wait)
        except Empty:
            return self._grouper.expired(time.monotonic_ns())
        if isinstance(arrived, BaseException):
            raise AcquisitionError(f"a camera failed: {arrived}") from arrived
        if isinstance(arrived, Damaged):
            self.refused[arrived.camera, arrived.why] += 1
        now = time.monotonic_ns()
        if self.setup.trigger == "software" and self._is_late(arrived):
            return self._grouper.expired(now)
        return self._grouper.add(arrived, now) + self._grouper.expired(now)

    def _is_late(self, frame: Frame | Damaged) -> bool:
        """Hold a frame's count against the triggers that were sent."""
        if frame.number is None or not isinstance(self._grouper, ByNumber):
            return False
        behind = self._sent - self._grouper.number(frame, begins_at=self._sent)
        if behind > 0 and isinstance(frame, Damaged):
            return True  # counted already; the driver may tell of it twice, and late
        if behind == 0:
            self._behind[frame.camera] = 0
            return False
        self.refused[frame.camera, "late"] += 1
        self._behind[frame.camera] += 1
        if behind < 0 or self._behind[frame.camera] >= _MOST_BEHIND:
            raise AcquisitionError(
                f"camera {frame.camera!r} is out of step: its frames are {abs(behind)} "
                f"{'triggers late' if behind > 0 else 'more than the triggers that were sent'}; it "
                f"was busy, or took longer than timeout_s = {self.setup.timeout_s:g}: give it more "
                "time and start again"
            )
        return True

    def _too_late(self, frame: Frame | Damaged | BaseException) -> None:
        """Count a frame that came when its capture was given, or that nobody asked for."""
        if isinstance(frame, BaseException):
            raise AcquisitionError(f"a camera failed: {frame}") from frame
        if self._sent < 0:
            self.refused[frame.camera, "before any trigger"] += 1
        elif not self._is_late(frame):
            self.refused[frame.camera, "late"] += 1

    def _drop_old(self) -> None:
        """Forget frames that were taken before anybody asked."""
        while not self._queue.empty():
            held = self._queue.get()
            if isinstance(held, BaseException):
                raise AcquisitionError(f"a camera failed: {held}") from held
            if isinstance(held, Damaged):
                self.refused[held.camera, held.why] += 1
        self._grouper.rest()

    def _taken(self, group: Group) -> Taken:
        """Check that a capture's frames arrived together, and number it."""
        times = [frame.arrived_ns for frame in group.frames.values()]
        apart = (max(times) - min(times)) / 1e6 if times else 0.0
        far = max(_FAR_MS, self.setup.window_ms)
        if apart > far:
            raise AcquisitionError(
                f"frames of one count arrived {apart:.0f} ms apart, but {far:.0f} ms at most were "
                "promised: a camera missed a trigger or was started late; start again with the "
                "trigger at rest until all cameras wait"
            )
        number, self._count = self._count, self._count + 1
        return Taken(number, group.frames, group.missing, group.damaged)

    def _listen(self, name: str, camera: Camera) -> None:
        """Wait for one camera until the end."""
        try:
            while not self._ending.is_set():
                arrived = camera.fetch(_STEP)
                if arrived is not None:
                    self._queue.put(arrived)
        except BaseException as error:  # whoever asks for captures is told
            self._queue.put(error)

    def _new_grouper(self) -> ByNumber | ByTime:
        patience = int(self.setup.timeout_s * 1e9)
        names = self.setup.cameras
        if self.setup.group == "time" or self.setup.trigger == "free":
            window, arrival = int(self.setup.window_ms * 1e6), self.setup.clock == "arrival"
            return ByTime(names, window, patience, arrival=arrival)
        return ByNumber(names, patience, near=int(self.setup.window_ms * 1e6))

    def _opened(self) -> dict[str, Camera]:
        """Open the cameras that the setup names."""
        return open_cameras(self.setup, self._stack)


def open_cameras(setup: Setup, stack: ExitStack) -> dict[str, Camera]:
    """Open the cameras of a setup.

    Parameters
    ----------
    setup : Setup
    stack : ExitStack
        Lets go of the producers in the end.

    Returns
    -------
    dict of str to Camera

    Raises
    ------
    AcquisitionError
        When a driver or a camera is not there, or it does not take a setting.
    """
    from mmdefect.acquire.gentl import Gentl
    from mmdefect.acquire.gige import GigeCamera

    opened: dict[str, Camera] = {}
    behind = [name for name in setup.cameras if not name.startswith(GIGE)]
    gentl = stack.enter_context(Gentl(setup.producers)) if behind else None
    for name in setup.cameras:
        features = setup.features.get(name, {})
        if gentl is not None and not name.startswith(GIGE):
            opened[name] = gentl.open(name, features, setup.components(name))
        else:
            opened[name] = GigeCamera(name.removeprefix(GIGE), features, setup.packet_bytes)
            opened[name].id = name
    return opened
