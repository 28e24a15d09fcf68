"""Files that are whole or not there: nobody, and no restart after a kill, finds half of one."""

import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object], *, synced: bool = False) -> None:
    """Write a file under a hidden name beside it, then move it into place at once.

    Parameters
    ----------
    path : Path
        Its folder is made where it is lacking.
    write : callable
        Writes to the path it is given.
    synced : bool
        Wait until the file is on disk, for what cannot be made again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(unfinished)
        if synced:
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
