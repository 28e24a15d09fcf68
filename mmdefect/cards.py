"""Data cards: what lies where in a data set, as a table instead of a loader.

* Loaders for inspection data differ by path juggling only, so a path grammar in TOML replaces
  them; the same grammar read backwards lays out a miniature for tests.
* Units, holes and levels are facts about the data and stand in the card, never guessed.
* A card may build on another (``base``): a user's own data usually needs three lines on top of
  the card ``folder``.

The path grammar is in ``mmdefect.layout``; every field is described in ``datasets/README.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmdefect.card_toml import card_folder, card_names, written
from mmdefect.errors import CardError
from mmdefect.layout import ANY, BOXES, MASK, PLACEHOLDER, PLACEHOLDERS, SPLITS, Layout
from mmdefect.truth import Truth, read_truth
from mmdefect.zone_table import ZoneEntry, read_zones

__all__ = ["Card", "SensorEntry", "card_folder", "card_names", "card_of", "read_card"]

_BACKGROUNDS = ("keep", "plane")
_RESERVED = set(
    "any apart axis boxes color defect edge energy fused grid learn mask sensor valid".split()
)
_KEYS = {
    "": {
        "base",
        "name",
        "title",
        "licence",
        "source",
        "good",
        "labels",
        "notes",
        "splits",
        "assign",
        "frames",
        "boxes",
        "sensors",
        "rig",
        "learn",
        "zones",
    },
    "splits": set(SPLITS),
    "assign": {*SPLITS, "table"},
    "boxes": {"columns", "origin"},
    "rig": {"file", "reference", "registered", "refine", "mask_folders", "background", "pad"},
    "learn": {"good_pixels"},
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
        The sensor whose camera defines the grid; empty where the rig file is to say it.
    rig : str
        Path of the rig file, below the data set's root or beside the card; empty without one.
    folder : Path
        Where the card's own file lies.
    files : mapping of str to Path
        Where the files that the card names were found, by the names it has for them; a data set
        and a model fill it in.
    registered : tuple of str
        Sensors whose frames lie on the reference's grid, pixel on pixel.
    refine : tuple of str
        Sensors to be brought onto that grid by what their frames show, where it can be trusted.
    mask_folders : tuple of str
        Folder names that hold masks, for patterns with ``{sensor}``.
    background : str
        ``plane`` when pixels of the plane behind the part shall be not valid, else ``keep``.
    truth : Truth
        Where labels and splits come from, how boxes are written, what defective parts teach.
    notes : tuple of str
        What a reader of every result on these data should know.
    pad : bool
        Whether frames of several sizes are padded, as blind, to the largest.
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
    refine: tuple[str, ...] = ()
    mask_folders: tuple[str, ...] = ()
    rig: str = ""
    folder: Path = field(default=Path(), compare=False)
    files: Mapping[str, Path] = field(default_factory=dict, compare=False)
    background: str = "keep"
    truth: Truth = field(default_factory=Truth)
    notes: tuple[str, ...] = ()
    pad: bool = False
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
    return card_of(written(str(name)), str(name))


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
    for table in ("splits", "assign", "frames", "boxes", "sensors", "rig", "learn"):
        if not isinstance(written.get(table, {}), dict):
            raise CardError(f"card {where!r}: [{table}] must be a table")
        _known(written.get(table, {}), _KEYS.get(table, ANY), f"{where}: [{table}]")
    splits, rig = written.get("splits", {}), written.get("rig", {})
    sensors = {
        name: _sensor(name, entry, where) for name, entry in written.get("sensors", {}).items()
    }
    frames = {
        key: _texts(value, f"[frames] {key}", where)
        for key, value in written.get("frames", {}).items()
    }
    if not sensors or not frames:
        raise CardError(f"card {where!r} must have [sensors.NAME] and [frames]")
    first = "" if "file" in rig else next(iter(sensors))
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
        reference=_texts(rig.get("reference", first), "[rig] reference", where)[0],
        registered=_texts(rig.get("registered", []), "[rig] registered", where),
        refine=_texts(rig.get("refine", []), "[rig] refine", where),
        mask_folders=_texts(rig.get("mask_folders", MASK), "[rig] mask_folders", where),
        rig=_texts(rig.get("file", ""), "[rig] file", where)[0],
        folder=card_folder() if where in card_names() else Path(where).parent,
        background=_background(rig.get("background", "keep"), where),
        notes=_texts(written.get("notes", ()), "notes", where),
        truth=read_truth(written, where),
        pad=_flag(rig.get("pad", False), "[rig] pad", where),
        zones=read_zones(written.get("zones", {}), sensors, where),
    )
    _check_names(card, where)
    _check_patterns(card, where)
    return card


def _known(table: dict[str, Any], known: set[str] | str, where: str) -> None:
    """Refuse keys that nobody reads: they are usually a slip of the pen."""
    unknown = [] if known == ANY else sorted(set(table) - set(known))
    if unknown:
        raise CardError(
            f"card {where!r} has the key {unknown[0]!r}; there are: {', '.join(sorted(known))}"
        )


def _flag(value: Any, what: str, where: str) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise CardError(f"card {where!r}: {what} is {value!r}; true or false was promised")
    return value


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


def _background(value: Any, where: str) -> str:
    """Refuse a way of removing the background that there is not."""
    if value not in _BACKGROUNDS:
        raise CardError(
            f"card {where!r}: [rig] background is {value!r}; there are: {', '.join(_BACKGROUNDS)}"
        )
    return str(value)


def _check_names(card: Card, where: str) -> None:
    """Refuse a rig or a pattern that speaks of sensors the card does not have."""
    taken = sorted(_RESERVED & set(card.sensors))
    if taken:
        raise CardError(
            f"card {where!r}: a sensor cannot be called {taken[0]!r}, which a scene uses for "
            "something else; rename it and give its folder in 'folders'"
        )
    spoken = {card.reference: "[rig] reference"} if card.reference else {}
    spoken |= dict.fromkeys(card.registered, "[rig] registered")
    spoken |= dict.fromkeys(card.refine, "[rig] refine")
    spoken |= dict.fromkeys(set(card.frames) - {ANY, MASK, BOXES}, "[frames]")
    both = sorted(set(card.refine) & {card.reference, *card.registered})
    if both:
        raise CardError(
            f"card {where!r}: [rig] refine names {both[0]!r}, which is the reference or registered "
            "already; leave it out of one of them"
        )
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
            used = [name for name, _ in PLACEHOLDER.findall(pattern)]
            unknown = set(used) - PLACEHOLDERS or pattern.count("{") != len(used)
            named = "capture" in used or key == BOXES
            if unknown or not named or len(set(used)) != len(used):
                raise CardError(
                    f"card {where!r}: pattern {pattern!r} of {key!r} must hold {{capture}} and "
                    f"may hold, once each, {', '.join(sorted(PLACEHOLDERS))}"
                )
            if ("sensor" in used) != (key == ANY):
                raise CardError(
                    f"card {where!r}: {{sensor}} belongs in the patterns of 'any' and only there, "
                    f"found {pattern!r} under {key!r}"
                )
