"""Scenes kept on disk, so that a second run need not read and register them again.

* A scene is found by the content of its files and by everything that shapes it: card, zones,
  sensors, grid, versions. A changed file or setting has another name; nothing is ever stale.
* Entries are HDF5, read back as carefully as any file of others (``mmdefect.packed``); one that
  cannot be read is removed and made anew.
* The folder has a bound: the scenes that were not asked for the longest go first.
* A scene of which a file was refused is not kept: the refusal would be forgotten with it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import xarray as xr

from mmdefect import __version__
from mmdefect.captures import Capture
from mmdefect.card_text import packed
from mmdefect.cards import Card
from mmdefect.errors import CardError, MmdefectError
from mmdefect.packed import pack_scene, unpack_scene
from mmdefect.provenance import versions


class SceneCache:
    """A folder of scenes.

    Parameters
    ----------
    folder : str or Path
        Made when a data set first uses it.
    most_bytes : int
        Bytes it may hold.
    """

    def __init__(self, folder: str | Path, most_bytes: int = 8 << 30) -> None:
        self.folder = Path(folder)
        self.most_bytes = most_bytes

    def serve(self, root: Path) -> None:
        """Make the folder ready for the scenes of a data set.

        Parameters
        ----------
        root : Path
            The data set's folder.

        Raises
        ------
        CardError
            When the cache lies inside the data set, or cannot be made.
        """
        if self.folder.resolve().is_relative_to(root.resolve()):
            raise CardError(
                f"scenes would be written into the data set ({self.folder}); give --cache a "
                "folder elsewhere"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CardError(
                f"'{self.folder}' cannot be made a folder for scenes: {error.strerror}"
            ) from error

    def __repr__(self) -> str:
        """Tell where it is and how full."""
        held = sum(size for _, size, _ in self._entries())
        return f"SceneCache({str(self.folder)!r}, {held >> 20} of {self.most_bytes >> 20} MiB)"

    def get(self, key: str) -> xr.Dataset | None:
        """Read a scene.

        Parameters
        ----------
        key : str

        Returns
        -------
        Dataset or None
            None where there is none that can be read.
        """
        path = self.folder / f"{key}.h5"
        if not path.is_file():
            return None
        try:
            scene = unpack_scene(path)
        except MmdefectError:
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(path)
        return scene

    def put(self, key: str, scene: xr.Dataset) -> None:
        """Keep a scene; on a disk that is full, or may not be written, nothing is kept.

        Parameters
        ----------
        key : str
        scene : Dataset
        """
        path = self.folder / f"{key}.{os.getpid()}.h5"
        try:
            pack_scene(scene, path)
            os.replace(path, self.folder / f"{key}.h5")
            self._make_room()
        except OSError:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Remove the scenes that were not asked for the longest, down to the bound."""
        entries = sorted(self._entries())
        held = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if held <= self.most_bytes:
                return
            path.unlink(missing_ok=True)
            held -= size

    def _entries(self) -> list[tuple[float, int, Path]]:
        """List what is there: time of last use, bytes, path."""
        found = []
        for path in self.folder.glob("*.h5"):
            with suppress(OSError):
                told = path.stat()
                found.append((told.st_mtime, told.st_size, path))
        return found


def card_key(card: Card) -> str:
    """Hash what shapes every scene and result of a data set: the card, its files, the versions.

    Parameters
    ----------
    card : Card

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    written, files = packed(card)
    attached = {name: hashlib.sha256(held).hexdigest() for name, held in files.items()}
    return _hash([__version__, versions(), written, attached])


def scene_key(
    shared: str,
    capture: Capture,
    digest: Callable[[Path], str | None],
    grid: Sequence[object],
) -> str:
    """Name a scene by everything that shapes it.

    Parameters
    ----------
    shared : str
        What `card_key` gave.
    capture : Capture
    digest : callable
        Hashes a file's bytes.
    grid : sequence
        What else shapes the scene: its sensors, its reference, its size.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    frames = {name: digest(path) for name, path in sorted(capture.frames.items())}
    mask = None if capture.mask is None else digest(capture.mask)
    told = [capture.label, capture.split, capture.boxes]
    return _hash([shared, list(grid), frames, mask, told])


def _hash(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
