"""The TOML behind a card's name: found, parsed, and laid over the card it builds on."""

import tomllib
from pathlib import Path
from typing import Any

from mmdefect.errors import CardError

_MOST_BASES = 8


def card_folder() -> Path:
    """Find the folder of the cards that come with the package.

    Returns
    -------
    Path
        Inside the installed package, or beside it in a checkout.
    """
    here = Path(__file__).resolve().parent
    inside = here / "datasets"
    return inside if inside.is_dir() else here.parent / "datasets"


def card_names() -> list[str]:
    """List the cards that come with the package.

    Returns
    -------
    list of str

    Examples
    --------
    >>> card_names()
    ['crack_rgbdt', 'eyecandies', 'folder', 'gdxray', 'mpdd', 'mulsen', 'mvtec3d', 'mvtec_ad', \
'real3d_ad', 'visa']
    """
    files = card_folder().glob("*.toml")
    return sorted(file.stem for file in files if "." not in file.stem)


def _based(table: dict[str, Any], path: Path, depth: int) -> dict[str, Any]:
    """Lay a card over the one it builds on, which may build on another."""
    base = table.pop("base", None)
    if base is None:
        return table
    if not isinstance(base, str) or depth == _MOST_BASES:
        raise CardError(
            f"{path.name} has the base {base!r}; a card's name or file was promised, and not in "
            "a circle"
        )
    name = base if base in card_names() else str(path.parent / base)
    below, rig = written(name, depth + 1), table.get("rig")
    if isinstance(rig, dict) and "file" in rig and isinstance(below.get("rig"), dict):
        below["rig"].pop("reference", None)  # the rig file names it
    return _over(below, table)


def written(name: str, depth: int = 0) -> dict[str, Any]:
    """Parse the TOML behind a name, and behind what it builds on.

    Parameters
    ----------
    name : str
        A name of ``card_names()`` or the path of a TOML file.
    depth : int
        How many cards build on this one.

    Returns
    -------
    dict

    Raises
    ------
    CardError
        When there is no such card, or it is no TOML.
    """
    path = card_folder() / f"{name}.toml" if name in card_names() else Path(name)
    if not path.is_file():
        raise CardError(
            f"no card {name!r}; there are: {', '.join(card_names())}; or give the path of a TOML "
            'file (for your own captures: base = "folder")'
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CardError(f"{path.name} is not TOML: {error}") from error
    table.setdefault("name", path.stem)
    _place_masks(table, path)
    return _based(table, path, depth)


def _place_masks(table: dict[str, Any], path: Path) -> None:
    """Make the paths of zones' masks, which are told from the card's folder, absolute."""
    zones = table.get("zones")
    for zone in zones.values() if isinstance(zones, dict) else ():
        if isinstance(zone, dict) and isinstance(zone.get("mask"), str):
            zone["mask"] = str(path.resolve().parent / zone["mask"])


def _over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Lay a card over the one it builds on, table by table."""
    merged = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _over(merged[key], value) if both else value
    return merged
