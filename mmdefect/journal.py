"""What survives a kill, a crash and a power cut: one line of JSON a verdict, or a capture.

* A line is on disk (fsync) before anybody is told of it, so a verdict that was seen is known after
  any restart.
* A last line that was not finished was never told: it is cut off, and its capture judged again.
  After a power cut such a tail may hold zeros instead of text, even ended lines of them.
* A broken line *before* a good one was not left by a kill. Something else wrote there, and which
  captures were judged is not known any more: that is refused, not repaired.
* Two programs that write one journal would repeat each other's captures: it is locked.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from mmdefect.errors import JournalError

Row = dict[str, Any]


class Journal:
    """A file of lines of JSON that is appended to.

    Parameters
    ----------
    path : Path
        Made when it is not there.

    Raises
    ------
    JournalError
        When it cannot be opened, another program writes into it, or a line before the last is
        broken.

    Attributes
    ----------
    cut : int
        Bytes of an unfinished end that were cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise JournalError(
                f"'{path}' cannot be written ({error.strerror}), but what was done is kept there; "
                "choose another place"
            ) from error
        try:
            self._lock()
            if new:
                _sync_folder(path.parent)
            self.cut = self._cut_tail()
        except BaseException:
            os.close(self._file)
            raise

    def rows(self) -> Iterator[Row]:
        """Read every line.

        Yields
        ------
        dict
            Oldest first.
        """
        with self.path.open("rb") as file:
            for line in file:
                yield json.loads(line)

    def write(self, row: Row) -> None:
        """Append a line; it is on disk when this returns.

        Parameters
        ----------
        row : dict
            Of what JSON can hold; no NaN.

        Raises
        ------
        JournalError
            When it cannot be written: the journal is then as it was.
        """
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        before = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, before)
            raise JournalError(
                f"'{self.path}' could not be written ({error.strerror}); its line on "
                f"{row.get('capture')!r} was not kept: make room and start again"
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file."""
        self.close()

    def _lock(self) -> None:
        try:
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # no such locks on this system
            pass
        except OSError as error:
            raise JournalError(
                f"another program writes into '{self.path}'; stop it, or choose another place"
            ) from error

    def _cut_tail(self) -> int:
        """Cut what follows the last whole line; refuse what is broken before it."""
        end = place = 0
        broken: int | None = None
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                place += len(line)
                if not _is_row(line):
                    broken = broken or number
                elif broken is not None:
                    raise JournalError(
                        f"line {broken} of '{self.path}' is no line of a journal, but others "
                        "follow it; repair that line, or move the file away knowing that what it "
                        "tells is then not known"
                    )
                else:
                    end = place
        if place > end:
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        return place - end


def _is_row(line: bytes) -> bool:
    """Tell whether a line is whole."""
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _sync_folder(folder: Path) -> None:
    """Put a new file's name on disk, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
