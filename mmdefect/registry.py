"""The folder is the registry.

* A plug-in is a module in the folder of its kind; its file's name is the plug-in's name.
* Listing looks at file names and imports nothing, so ``mmdefect list`` is fast and one broken
  plug-in does not hide the others.
* A plug-in's ``__all__`` names exactly one maker. Modules that start with an underscore are
  shared by the plug-ins of a folder and are no plug-ins.
* Other distributions add plug-ins by an entry point of the group ``mmdefect.KIND``. Finding them
  reads a file of every distribution that is installed, so they are looked for again only when a
  folder on Python's path has changed.
"""

import os
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoints, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmdefect.errors import UnknownNameError

KINDS = ("sensors", "features", "detectors", "fusion", "explain")


def names(kind: str) -> list[str]:
    """List the plug-ins of a kind, without importing any.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.

    Returns
    -------
    list of str
        Sorted names.

    Raises
    ------
    UnknownNameError
        When there is no such kind.

    Examples
    --------
    The sensors this package reads:

    >>> names("sensors")
    ['depth', 'infrared', 'points', 'rgb', 'structured_light', 'xray']
    """
    if kind not in KINDS:
        raise UnknownNameError(f"no plug-ins of kind {kind!r}; there are: {', '.join(KINDS)}")
    spec = find_spec(f"mmdefect.{kind}")
    folders = spec.submodule_search_locations if spec else None
    found = {
        file.stem
        for folder in folders or []
        for file in Path(folder).glob("*.py")
        if not file.stem.startswith("_")
    }
    found |= {point.name for point in _others(kind)}
    return sorted(found)


def load(kind: str, name: str) -> Callable[..., Any]:
    """Fetch the maker of a plug-in by its name.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    name : str
        The plug-in's name.

    Returns
    -------
    callable
        Makes the plug-in; every argument has a default.

    Raises
    ------
    UnknownNameError
        When there is no such kind or name.
    """
    if name not in names(kind):
        raise UnknownNameError(f"no {kind} named {name!r}; there are: {', '.join(names(kind))}")
    for point in _others(kind).select(name=name):
        maker: Callable[..., Any] = point.load()
        return maker
    module = import_module(f"mmdefect.{kind}.{name}")
    (maker_name,) = module.__all__
    maker = getattr(module, maker_name)
    return maker


def name_of(kind: str, made: object) -> str:
    """Find the name under which an object's maker is registered.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    made : object

    Returns
    -------
    str

    Raises
    ------
    UnknownNameError
        When no plug-in of this kind made it.
    """
    for name in names(kind):
        if load(kind, name) is type(made):
            return name
    raise UnknownNameError(
        f"{type(made).__name__} is no plug-in of kind {kind!r}, so that it cannot be found again; "
        f"there are: {', '.join(names(kind))}"
    )


def _others(kind: str) -> EntryPoints:
    """Give the plug-ins of a kind that other distributions add."""
    return _on_path(kind, tuple((folder, _changed(folder)) for folder in sys.path))


@lru_cache(maxsize=4 * len(KINDS))
def _on_path(kind: str, _folders: tuple[tuple[str, int], ...]) -> EntryPoints:
    """Find them among all that is installed."""
    return entry_points(group=f"mmdefect.{kind}")


def _changed(folder: str) -> int:
    """Give the time, ns, at which a folder got or lost a file; 0 when there is none."""
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0
