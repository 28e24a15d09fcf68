"""Multimodal industrial inspection: many sensors, one registered grid, one verdict.

The door stays light, because the command line and its completion pass through it on every call:
importing this package imports no numpy, xarray, torch, open3d or timm. Names are fetched from
their rooms when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmdefect.errors import MmdefectError

if TYPE_CHECKING:
    from mmdefect.cards import read_card
    from mmdefect.dataset import Dataset
    from mmdefect.inspection import Inspection
    from mmdefect.registry import load, names

    __version__: str

__all__ = [
    "Dataset",
    "Inspection",
    "MmdefectError",
    "__version__",
    "load",
    "names",
    "read_card",
]

_ROOMS = {
    "Dataset": "mmdefect.dataset",
    "Inspection": "mmdefect.inspection",
    "load": "mmdefect.registry",
    "names": "mmdefect.registry",
    "read_card": "mmdefect.cards",
}


def __getattr__(name: str) -> Any:
    """Fetch a public name from its room at first use."""
    if name == "__version__":
        return _version()
    if name not in _ROOMS:
        raise AttributeError(f"module 'mmdefect' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)


def _version() -> str:
    """Ask for the installed version once: what is asked takes longer to load than all else here."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("mmdefect")
    except PackageNotFoundError:
        raise ImportError(
            "mmdefect is not installed; its folders sensors/ and fusion/ become part of it by "
            "installation: run 'pip install -e .' in the checkout"
        ) from None
    globals()["__version__"] = found
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
