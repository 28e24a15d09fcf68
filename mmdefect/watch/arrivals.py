"""When a capture is complete: frames gathered, settled, or waited for long enough.

* A file that is still written has no mark that says so, on any system. What can be seen is that
  its size and time of change stay the same; only the watcher's own clock counts how long, since
  clocks of cameras and file servers are not the watcher's.
* A file that has settled may still be half a file, when its writer rests. So a capture that could
  not be read is put back until something about it changes, or its time is up.
* No clock and no disk is asked here: time and sizes are told, so that tests can plant any story.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """What can be seen of a file without opening it.

    ``size`` is in bytes, ``changed`` in nanoseconds since 1970 by the file system's clock.
    """

    size: int
    changed: int


@dataclass
class _Seen:
    """One file: how it looks, and since when."""

    stamp: Stamp
    since: float


@dataclass
class _Gathered:
    """The files of one capture, by sensor and path, and when something about them last changed."""

    news: float
    frames: dict[str, dict[Path, _Seen]] = field(default_factory=dict)
    tried: frozenset[tuple[Path, Stamp]] = frozenset()

    def looks(self) -> frozenset[tuple[Path, Stamp]]:
        return frozenset((p, s.stamp) for files in self.frames.values() for p, s in files.items())


class Arrivals:
    """Gathers files into captures and says which are ready to be judged.

    Parameters
    ----------
    expected : set of str
        The sensors of a complete capture.
    settle : float
        Seconds for which a file must not have changed.
    timeout : float
        Seconds without any change after which a capture is ready as it is.
    """

    def __init__(self, expected: frozenset[str], settle: float, timeout: float) -> None:
        self.expected, self.settle, self.timeout = expected, settle, timeout
        self._pending: dict[Hashable, _Gathered] = {}

    def __len__(self) -> int:
        """Count the captures that are waited for."""
        return len(self._pending)

    def see(self, capture: Hashable, sensor: str, path: Path, stamp: Stamp, now: float) -> None:
        """Take note of a file as it looks now.

        Parameters
        ----------
        capture : hashable
            Which capture it belongs to.
        sensor : str
        path : Path
        stamp : Stamp
        now : float
            Seconds by a clock that never goes back.
        """
        gathered = self._pending.setdefault(capture, _Gathered(now))
        files = gathered.frames.setdefault(sensor, {})
        known = files.get(path)
        if known is None or known.stamp != stamp:
            files[path] = _Seen(stamp, now)
            gathered.news = now

    def forget(self, path: Path) -> None:
        """Take note that a file is gone: moved, renamed or removed before its capture was judged.

        Parameters
        ----------
        path : Path
        """
        for capture, gathered in list(self._pending.items()):
            for sensor, files in list(gathered.frames.items()):
                if files.pop(path, None) is not None and not files:
                    del gathered.frames[sensor]
            if not gathered.frames:
                del self._pending[capture]

    def paths(self) -> list[Path]:
        """List the files of the captures that are waited for."""
        return [
            path
            for gathered in self._pending.values()
            for files in gathered.frames.values()
            for path in files
        ]

    def ready(self, now: float) -> list[Hashable]:
        """List the captures to be judged, those first that have waited longest.

        Parameters
        ----------
        now : float
            In seconds.

        Returns
        -------
        list of hashable
            Captures of all expected sensors whose files have settled and hold something, unless
            they were put back as they are; and all whose time is up.
        """
        found = [
            (gathered.news, number, capture)
            for number, (capture, gathered) in enumerate(self._pending.items())
            if self.late(capture, now) or self._complete(gathered, now)
        ]
        return [capture for *_, capture in sorted(found, key=lambda entry: entry[:2])]

    def late(self, capture: Hashable, now: float) -> bool:
        """Tell whether a capture's time is up.

        Parameters
        ----------
        capture : hashable
        now : float
            In seconds.

        Returns
        -------
        bool
        """
        return now - self._pending[capture].news >= self.timeout

    def frames(self, capture: Hashable) -> Mapping[str, Mapping[Path, Stamp]]:
        """Give a capture's files, by sensor; more than one where two claim one place.

        Parameters
        ----------
        capture : hashable

        Returns
        -------
        mapping of str to mapping of Path to Stamp
        """
        return {
            sensor: {path: seen.stamp for path, seen in sorted(files.items())}
            for sensor, files in self._pending[capture].frames.items()
        }

    def put_back(self, capture: Hashable) -> None:
        """Wait until a capture's files look otherwise, or its time is up.

        Parameters
        ----------
        capture : hashable
            One that could not be read as it is.
        """
        gathered = self._pending[capture]
        gathered.tried = gathered.looks()

    def done(self, capture: Hashable) -> None:
        """Wait for a capture no more.

        Parameters
        ----------
        capture : hashable
        """
        del self._pending[capture]

    def _complete(self, gathered: _Gathered, now: float) -> bool:
        if not self.expected <= gathered.frames.keys() or gathered.looks() == gathered.tried:
            return False
        return all(
            seen.stamp.size > 0 and now - seen.since >= self.settle
            for files in gathered.frames.values()
            for seen in files.values()
        )
