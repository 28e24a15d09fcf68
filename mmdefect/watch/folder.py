"""Which files lie in a folder, and which of them just changed.

Two ways, because neither is enough. The system's notices (by watchdog) come at once, but queues
overflow, limits are reached, and a share on a network sends none at all. Going through the folder
sees everything, but takes long where much lies there. So notices are hints that save time, and
the walk, every few seconds, is what nothing escapes.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import Self

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

_NEWS = frozenset({"created", "modified", "moved", "closed", "deleted"})


def walked(folder: Path) -> Iterator[Path]:
    """Go through the files below a folder, hidden ones left out, links followed, none twice.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    Path
        Sorted within each folder.
    """
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) not in seen
        )
        yield from (Path(place) / name for name in sorted(files) if not name.startswith("."))


class Notices(FileSystemEventHandler):
    """The system's notices about a folder, gathered until they are asked for.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    silent : str
        Why no notices come; empty when they do.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queue: SimpleQueue[Path] = SimpleQueue()
        self._wake = Event()
        self._observer = Observer()
        self._folders_changed = False
        self.silent = ""

    def __enter__(self) -> Self:
        """Begin to listen."""
        try:
            self._observer.schedule(self, str(self._folder), recursive=True)
            self._observer.start()
        except (OSError, RuntimeError) as error:
            self.silent = str(error)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take a notice in; called by watchdog's own thread.

        Parameters
        ----------
        event : FileSystemEvent
        """
        if event.event_type not in _NEWS:
            return
        if event.is_directory:
            self._folders_changed = self._folders_changed or event.event_type != "modified"
        for path in (event.src_path, event.dest_path):
            if path and not event.is_directory:
                self._queue.put(Path(os.fsdecode(path)))
        self._wake.set()

    def wake(self) -> None:
        """End a `wait` at once; may be called by a signal handler."""
        self._wake.set()

    def wait(self, seconds: float) -> None:
        """Wait for a notice.

        Parameters
        ----------
        seconds : float
            The longest wait.
        """
        self._wake.wait(seconds)
        self._wake.clear()

    def taken(self) -> tuple[set[Path], bool]:
        """Give what was noticed since the last time.

        Returns
        -------
        set of Path
            Files that came, changed or went.
        bool
            Whether folders came or went, so that the files in them have to be looked for.
        """
        paths: set[Path] = set()
        whole, self._folders_changed = self._folders_changed, False
        while True:
            try:
                paths.add(self._queue.get_nowait())
            except Empty:
                return paths, whole
