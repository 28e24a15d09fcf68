"""Data cards: what lies where in a data set, as a table instead of a loader.

* Loaders for inspection data differ by path juggling only, so a path grammar in TOML replaces
  them; the same grammar read backwards lays out a miniature for tests.
* Units, holes and levels are facts about the data and stand in the card, never guessed.
* A card may build on another (``base``): a user's own data usually needs three lines on top of
  the card ``folder``.

The path grammar is in ``mmdefect.layout``; every field is described in ``datasets/README.md``.
"""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmdefect.errors import CardError
from mmdefect.layout import ANY, MASK, PLACEHOLDERS, SPLITS, Layout
from mmdefect.zone_table import ZoneEntry, read_zones

_MOST_BASES = 8
_RESERVED = {
    "any",
    "apart",
    "axis",
    "color",
    "defect",
    "energy",
    "fused",
    "grid",
    "mask",
    "sensor",
    "valid",
}
_KEYS = {
    "": {
        "base",
        "name",
        "title",
        "licence",
        "source",
        "good",
        "splits",
        "frames",
        "sensors",
        "rig",
        "zones",
    },
    "splits": set(SPLITS),
    "rig": {"reference", "registered", "mask_folders"},
}


@dataclass(frozen=True)
class SensorEntry:
    """One sensor of a card: its adapter, the folders it may lie in, its adapter's options."""

    name: str
    adapter: str
    folders: tuple[str, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Card:
    """A data card.

    Parameters
    ----------
    name, title, licence, source : str
        What the data are, and under which terms.
    good : tuple of str
        The kinds (folder names) of good parts.
    splits : dict of str to tuple of str
        Folder names of ``train``, ``calibration`` and ``test``.
    frames : dict of str to tuple of str
        Path patterns by sensor, ``mask`` or ``any``.
    sensors : dict of str to SensorEntry
        The sensors in the rig's order.
    reference : str
        The sensor whose camera defines the grid.
    registered : tuple of str
        Sensors whose frames lie on the reference's grid, pixel on pixel.
    mask_folders : tuple of str
        Folder names that hold masks, for patterns with ``{sensor}``.
    zones : tuple of ZoneEntry
        Places that are ignored, or judged apart; paths of their masks are absolute.
    """

    name: str
    good: tuple[str, ...]
    frames: dict[str, tuple[str, ...]]
    sensors: dict[str, SensorEntry]
    reference: str
    title: str = ""
    licence: str = ""
    source: str = ""
    splits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    registered: tuple[str, ...] = ()
    mask_folders: tuple[str, ...] = ()
    zones: tuple[ZoneEntry, ...] = ()

    @property
    def promised(self) -> tuple[str, ...]:
        """The sensors that have a pattern of their own, and so a row even when all are absent."""
        return tuple(name for name in self.sensors if name in self.frames)

    @cached_property
    def layout(self) -> Layout:
        """The card's grammar of paths."""
        folders = {entry.name: entry.folders for entry in self.sensors.values()}
        return Layout(self.frames, self.splits, folders | {MASK: self.mask_folders})


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
    ['folder', 'mvtec3d']
    """
    return sorted(file.stem for file in card_folder().glob("*.toml"))


def read_card(name: str | Path) -> Card:
    """Read a card by its name or from a TOML file.

    Parameters
    ----------
    name : str or Path
        A name of ``card_names()`` or the path of a TOML file.

    Returns
    -------
    Card

    Raises
    ------
    CardError
        When there is no such card, or it is not as the grammar wants it.
    """
    return card_of(_written(str(name)), str(name))


def _based(written: dict[str, Any], path: Path, depth: int) -> dict[str, Any]:
    """Lay a card over the one it builds on, which may build on another."""
    base = written.pop("base", None)
    if base is None:
        return written
    if not isinstance(base, str) or depth == _MOST_BASES:
        raise CardError(
            f"{path.name} has the base {base!r}; a card's name or file was promised, and not in "
            "a circle"
        )
    name = base if base in card_names() else str(path.parent / base)
    return _over(_written(name, depth + 1), written)


def _written(name: str, depth: int = 0) -> dict[str, Any]:
    """Parse the TOML behind a name, and behind what it builds on."""
    path = card_folder() / f"{name}.toml" if name in card_names() else Path(name)
    if not path.is_file():
        raise CardError(
            f"no card {name!r}; there are: {', '.join(card_names())}; or give the path of a TOML "
            'file (for your own captures: base = "folder")'
        )
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CardError(f"{path.name} is not TOML: {error}") from error
    written.setdefault("name", path.stem)
    _place_masks(written, path)
    return _based(written, path, depth)


def _place_masks(written: dict[str, Any], path: Path) -> None:
    """Make the paths of zones' masks, which are told from the card's folder, absolute."""
    zones = written.get("zones")
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


def card_of(written: dict[str, Any], where: str) -> Card:
    """Check a parsed card and make it.

    Parameters
    ----------
    written : dict
        What TOML gave, what it builds on included.
    where : str
        What messages call it.

    Returns
    -------
    Card

    Raises
    ------
    CardError
        When it is not as the grammar wants it.
    """
    _known(written, _KEYS[""], where)
    for table in ("splits", "frames", "sensors", "rig"):
        if not isinstance(written.get(table, {}), dict):
            raise CardError(f"card {where!r}: [{table}] must be a table")
    splits, rig = written.get("splits", {}), written.get("rig", {})
    _known(splits, _KEYS["splits"], f"{where}: [splits]")
    _known(rig, _KEYS["rig"], f"{where}: [rig]")
    sensors = {
        name: _sensor(name, entry, where) for name, entry in written.get("sensors", {}).items()
    }
    frames = {
        key: _texts(value, f"[frames] {key}", where)
        for key, value in written.get("frames", {}).items()
    }
    if not sensors or not frames:
        raise CardError(f"card {where!r} must have [sensors.NAME] and [frames]")
    splits = splits or {"train": "train", "test": "test"}
    card = Card(
        name=written["name"],
        title=written.get("title", ""),
        licence=written.get("licence", ""),
        source=written.get("source", ""),
        good=_texts(written.get("good", "good"), "good", where),
        splits={role: _texts(v, f"[splits] {role}", where) for role, v in splits.items()},
        frames=frames,
        sensors=sensors,
        reference=_texts(rig.get("reference", next(iter(sensors))), "[rig] reference", where)[0],
        registered=_texts(rig.get("registered", []), "[rig] registered", where),
        mask_folders=_texts(rig.get("mask_folders", MASK), "[rig] mask_folders", where),
        zones=read_zones(written.get("zones", {}), sensors, where),
    )
    _check_names(card, where)
    _check_patterns(card, where)
    return card


def _known(table: dict[str, Any], known: set[str], where: str) -> None:
    """Refuse keys that nobody reads: they are usually a slip of the pen."""
    unknown = sorted(set(table) - known)
    if unknown:
        raise CardError(
            f"card {where!r} has the key {unknown[0]!r}; there are: {', '.join(sorted(known))}"
        )


def _texts(value: Any, what: str, where: str) -> tuple[str, ...]:
    """Take one text or a list of texts."""
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise CardError(f"card {where!r}: {what} must be a text or a list of texts, got {value!r}")
    return tuple(texts)


def _sensor(name: str, entry: Any, where: str) -> SensorEntry:
    """Read one ``[sensors.NAME]`` table; what is no field of ours is an adapter's option."""
    if not isinstance(entry, dict):
        raise CardError(f"card {where!r}: [sensors.{name}] must be a table")
    options = dict(entry)
    return SensorEntry(
        name=name,
        adapter=options.pop("adapter", name),
        folders=_texts(options.pop("folders", name), f"[sensors.{name}] folders", where),
        options=options,
    )


def _check_names(card: Card, where: str) -> None:
    """Refuse a rig or a pattern that speaks of sensors the card does not have."""
    taken = sorted(_RESERVED & set(card.sensors))
    if taken:
        raise CardError(
            f"card {where!r}: a sensor cannot be called {taken[0]!r}, which a scene uses for "
            "something else; rename it and give its folder in 'folders'"
        )
    spoken = {card.reference: "[rig] reference"}
    spoken |= dict.fromkeys(card.registered, "[rig] registered")
    spoken |= dict.fromkeys(set(card.frames) - {ANY, MASK}, "[frames]")
    for name, place in spoken.items():
        if name not in card.sensors:
            raise CardError(
                f"card {where!r}: {place} names {name!r}, but the sensors are: "
                f"{', '.join(card.sensors)}"
            )


def _check_patterns(card: Card, where: str) -> None:
    """Refuse patterns that cannot name a capture, or hold unknown placeholders."""
    for key, patterns in card.frames.items():
        for pattern in patterns:
            used = re.findall(r"\{(\w*)\}", pattern)
            unknown = sorted(set(used) - PLACEHOLDERS)
            if unknown or "capture" not in used or len(set(used)) != len(used):
                raise CardError(
                    f"card {where!r}: pattern {pattern!r} of {key!r} must hold {{capture}} and "
                    f"may hold, once each, {', '.join(sorted(PLACEHOLDERS))}"
                )
            if ("sensor" in used) != (key == ANY):
                raise CardError(
                    f"card {where!r}: {{sensor}} belongs in the patterns of 'any' and only there, "
                    f"found {pattern!r} under {key!r}"
                )
