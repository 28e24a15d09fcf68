"""Which files a result rests on, and which of them stand twice.

A result without the hash of its data cannot be reproduced: others have had two different data
sets under one name. And a test picture that was also learnt from is no test.
"""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mmdefect.captures import STACK, Capture

_LIBRARIES = ("h5py", "numpy", "open3d", "scikit-learn", "timm", "torch", "xarray")


def versions() -> dict[str, str | None]:
    """Give the versions of Python and of the libraries that shape numbers.

    Returns
    -------
    dict of str to str
        None where a library is not installed.
    """

    def of(library: str) -> str | None:
        try:
            return version(library)
        except PackageNotFoundError:
            return None

    return {"python": platform.python_version()} | {name: of(name) for name in _LIBRARIES}


class Digests:
    """Hashes of files, each computed once.

    Parameters
    ----------
    root : Path
        The data set's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[Path, str] = {}

    def of(self, path: Path) -> str | None:
        """Hash a file's bytes, or the names and bytes of the files in a stack's folder.

        Returns
        -------
        str or None
            SHA-256, hexadecimal; None for what is no file, or none that may be read.
        """
        if path not in self._known and _there(path):
            try:
                self._known[path] = _stack_digest(path) if path.is_dir() else _digest(path)
            except OSError:
                return None
        return self._known.get(path)

    def manifest(self, captures: Iterable[Capture], also: Iterable[Path] = ()) -> str:
        """Hash which files with which content were used.

        Parameters
        ----------
        captures : iterable of Capture
        also : iterable of Path
            What else the numbers rest on: the rig, flats and darks.

        Returns
        -------
        str
            SHA-256 over the sorted lines "path below the root, hash of the bytes"; a file that
            lies elsewhere goes by its name.
        """
        paths = {path for capture in captures for path in _files(capture)} | set(also)
        lines = sorted(f"{self._placed(path)} {self.of(path)}\n" for path in paths if _there(path))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def _placed(self, path: Path) -> str:
        """Name a file by its place below the root, or by its name elsewhere."""
        inside = path.is_relative_to(self.root)
        return path.relative_to(self.root).as_posix() if inside else f"elsewhere: {path.name}"

    def owners(self, captures: Iterable[Capture]) -> dict[str, str]:
        """Tell which capture a frame's content belongs to.

        Returns
        -------
        dict of str to str
            Hash to the capture's id.
        """
        return {
            digest: capture.id
            for capture in captures
            for path in capture.frames.values()
            if (digest := self.of(path)) is not None
        }

    def parts(self, captures: Iterable[Capture]) -> list[list[str]]:
        """Give the hashes of every capture's frames, sorted.

        Returns
        -------
        list of list of str
        """
        return [
            sorted(d for path in capture.frames.values() if (d := self.of(path)) is not None)
            for capture in captures
        ]

    def twins(self, capture: Capture, owners: Mapping[str, str]) -> dict[str, str]:
        """Find a capture's frames that others hold too.

        Returns
        -------
        dict of str to str
            Sensor to the other capture's id.
        """
        return {
            name: owners[digest]
            for name, path in capture.frames.items()
            if (digest := self.of(path)) is not None and digest in owners
        }


def _there(path: Path) -> bool:
    """Tell whether a path is a file, or a stack's folder."""
    return path.is_file() or (path.suffix == STACK and path.is_dir())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stack_digest(folder: Path) -> str:
    """Hash the sorted lines "path below the folder, hash of the bytes"."""
    inside = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{path.relative_to(folder).as_posix()} {_digest(path)}\n" for path in inside]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(capture: Capture) -> list[Path]:
    """List a capture's frames and its mask."""
    return [*capture.frames.values(), *([capture.mask] if capture.mask is not None else [])]
