"""A card proposed for a folder: which of the known layouts it has, and what it cannot tell.

Paths show where things lie; no file shows in which unit its counts are. So what the layout does
not say is asked for, and what nobody answers stands in the card as ``relative``, marked.

* A card that comes along and places every picture wins: the proposal builds on it.
* Else the roles of the folders are read off their names: splits, kinds, sensors, masks.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mmdefect.captures import FRAME_SUFFIXES, find_captures
from mmdefect.cards import Card, card_names, read_card
from mmdefect.errors import CardError

UNITS = {
    "points": ("mm", "m", "cm", "um", "relative"),
    "depth": ("mm", "m", "cm", "um", "relative"),
    "infrared": ("K", "degC", "relative"),
    "xray": ("1", "relative"),
}
"""Units that may be answered, by adapter."""
WORDS = {
    "train": {"train", "training"},
    "calibration": {"calibration", "validation", "val", "valid"},
    "test": {"test", "testing", "test_public"},
    "good": {"good", "ok", "normal", "nodefect", "no_defect", "pass"},
    "mask": {"mask", "masks", "gt", "ground_truth", "groundtruth", "label", "labels", "truth"},
    "rgb": {"rgb", "color", "colour", "image", "images", "img", "imgs", "vis", "visible", "camera"},
    "points": {"points", "xyz", "pointcloud", "pcd", "cloud", "pc"},
    "depth": {"depth", "range", "height"},
    "infrared": {"infrared", "ir", "thermal", "thermo", "lwir", "heat"},
    "xray": {"xray", "x-ray", "x_ray", "radiograph", "radiographs", "ct"},
}
SPLITS = ("train", "calibration", "test")
SENSORS = ("rgb", "points", "depth", "infrared", "xray")
_TELLING = {
    **dict.fromkeys((".pcd", ".ply", ".zdf"), "points"),
    **dict.fromkeys((".dcm", ".dicom", ".dic", ".nxs"), "xray"),
}
"""Sensors whose files nobody else writes."""
_MOST_FILES = 200_000
_PLACED = 0.9

Ask = Callable[[str, tuple[str, ...]], str | None]


@dataclass
class Proposal:
    """A card in the making.

    Attributes
    ----------
    text : str
        TOML that ``read_card`` takes.
    captures : int
        How many it finds.
    unplaced : int
        Pictures that it does not place.
    unknown : list of str
        Sensors whose unit nobody told.
    """

    text: str
    captures: int = 0
    unplaced: int = 0
    unknown: list[str] = field(default_factory=list)


def propose(root: Path, ask: Ask | None = None) -> Proposal:
    """Propose a card for a folder.

    Parameters
    ----------
    root : Path
        The folder; nothing is written there.
    ask : callable, optional
        Gives the unit of a sensor's counts, asked with its name and the units to choose from;
        None where it is not known. Nobody is asked by default.

    Returns
    -------
    Proposal

    Raises
    ------
    CardError
        When the folder holds no pictures, or none of their folders tells what they are.
    """
    if not root.is_dir():
        raise CardError(f"'{root}' is no folder; give the folder that holds the captures")
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", root.resolve().name).strip("-") or "captures"
    known = _best_known(root)
    if known is not None:
        card, captures, unplaced = known
        known_name = name if card.name == "folder" else card.name  # published numbers go by it
        lines = [f'base = "{card.name}"', f'name = "{known_name}"']
        proposal = Proposal("", captures, unplaced)
        lines += _units(card, root, ask, proposal)
        proposal.text = "\n".join(lines) + "\n"
        return proposal
    return _from_words(root, name, ask)


def _best_known(root: Path) -> tuple[Card, int, int] | None:
    """Find the card that places nearly all pictures, the most telling one first."""
    found = []
    for name in card_names():
        card = read_card(name)
        try:
            captures, _, unplaced = find_captures(card, root, list(card.sensors))
        except CardError:
            continue
        frames = sum(len(capture.frames) + (capture.mask is not None) for capture in captures)
        if not captures or frames < _PLACED * (frames + len(unplaced)):
            continue
        if any(_stem(PurePosixPath(capture.name + ".png"))[1] for capture in captures):
            continue  # names end with a sensor's word: those are several frames of one capture
        sensors = {sensor for capture in captures for sensor in capture.frames}
        complete = len(sensors & set(card.promised)) / max(len(card.promised), 1)
        specific = name not in ("folder", "mvtec_ad", "mpdd")
        mixed = len({capture.label for capture in captures}) > 1
        found.append((frames, mixed, complete, specific, name, len(captures), len(unplaced)))
    if not found:
        return None
    *_, name, captures_found, unplaced_found = max(found)
    return read_card(name), captures_found, unplaced_found


def _units(card: Card, root: Path, ask: Ask | None, proposal: Proposal) -> list[str]:
    """Write the units of sensors that are there and that the card leaves relative."""
    captures, _, _ = find_captures(card, root, list(card.sensors))
    there = {sensor for capture in captures for sensor in capture.frames}
    lines: list[str] = []
    for sensor, entry in card.sensors.items():
        told = entry.options.get("unit", "relative")
        if sensor in there and entry.adapter in UNITS and told == "relative":
            lines += ["", f"[sensors.{sensor}]", _unit(sensor, entry.adapter, ask, proposal)]
    return lines


def _unit(sensor: str, adapter: str, ask: Ask | None, proposal: Proposal) -> str:
    """Write one unit: what was answered, else relative, marked."""
    answer = ask(sensor, UNITS[adapter]) if ask is not None else None
    if answer in UNITS[adapter]:
        return f'unit = "{answer}"'
    proposal.unknown.append(sensor)
    choices = ", ".join(UNITS[adapter])
    return f'unit = "relative"  # not known: one of {choices}; a count may have a scale = ... too'


def _from_words(root: Path, name: str, ask: Ask | None) -> Proposal:
    """Read the roles of folders off their names."""
    paths = _pictures(root)
    if not paths:
        raise CardError(
            f"'{root.name}' holds no pictures or arrays ({', '.join(sorted(FRAME_SUFFIXES))}); "
            "give the folder that holds the captures"
        )
    patterns: dict[str, Counter[str]] = {}
    used: dict[str, set[str]] = {}
    for path in paths:
        target, pattern = _pattern(PurePosixPath(path), used)
        if target:
            patterns.setdefault(target, Counter())[pattern] += 1
    sensors = [sensor for sensor in SENSORS if sensor in patterns]
    if not sensors:
        raise CardError(
            f"none of the folders below '{root.name}' has the name of a sensor "
            f"({', '.join(sorted(set().union(*(WORDS[s] for s in SENSORS))))}), of a split or of "
            "good parts; write a card by hand: datasets/README.md"
        )
    proposal = Proposal("")
    proposal.text = _written(name, patterns, used, sensors, ask, proposal)
    return proposal


def _pictures(root: Path) -> list[str]:
    """List pictures and arrays below a folder."""
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if Path(file).suffix.lower() in FRAME_SUFFIXES and not file.startswith("."):
                found.append((Path(folder) / file).relative_to(root).as_posix())
        if len(found) > _MOST_FILES:
            break
    return found


def _role(word: str) -> str:
    """Tell what a folder's name means; empty where it means nothing to us."""
    plain = word.lower()
    return next((role for role, words in WORDS.items() if plain in words), "")


def _pattern(path: PurePosixPath, used: dict[str, set[str]]) -> tuple[str, str]:
    """Write a path's pattern, and what it leads to: a camera where only splits are named."""
    target, pieces = "", []
    free: list[int] = []
    has_kind = has_split = False
    for place, word in enumerate(path.parts[:-1]):
        role = _role(word)
        if role in SPLITS and not has_split:
            has_split = True
            pieces.append("{split}")
            used.setdefault(role, set()).add(word)
        elif role == "good" and not has_kind:
            has_kind = True
            pieces.append("{kind}")
            used.setdefault(role, set()).add(word)
        elif role in (*SENSORS, "mask") and not target:
            target = role
            pieces.append(word)
        else:
            free.append(place)
            pieces.append("")
    stem, end = _stem(path)
    told = has_kind or has_split
    for place in reversed(free):
        if not has_kind:
            pieces[place], has_kind = "{kind}", True
        elif "{category}" not in pieces:
            pieces[place] = "{category}"
        else:
            pieces[place] = path.parts[place]
    folder = "/".join(pieces)
    if not target and end:
        target = _role(end.strip("_-"))
    if target not in (*SENSORS, "mask"):
        target = _TELLING.get(path.suffix.lower(), "rgb" if told else "")
    return target, f"{folder}/{stem}" if folder else stem


def _stem(path: PurePosixPath) -> tuple[str, str]:
    """Write the file's part of a pattern; an ending that names a sensor or a mask stays."""
    found = re.search(r"[_-]([A-Za-z-]+)$", path.stem)
    if found and _role(found[1]) in (*SENSORS, "mask"):
        return "{capture}" + found[0] + path.suffix, found[0]
    return "{capture}", ""


def _written(
    name: str,
    patterns: dict[str, Counter[str]],
    used: dict[str, set[str]],
    sensors: list[str],
    ask: Ask | None,
    proposal: Proposal,
) -> str:
    """Write the card."""
    lines = [f'name = "{name}"', 'title = ""', 'licence = ""', 'source = ""']
    lines.append(f"good = {_texts(used.get('good', {'good'}))}")
    splits = {split: used[split] for split in SPLITS if split in used}
    if splits:
        lines += ["", "[splits]"]
        lines += [f"{split} = {_texts(words)}" for split, words in splits.items()]
    lines += ["", "[frames]"]
    for target in [*sensors, *(["mask"] if "mask" in patterns else [])]:
        lines.append(f"{target} = {_texts(p for p, _ in patterns[target].most_common())}")
    for sensor in sensors:
        lines += ["", f"[sensors.{sensor}]"]
        if sensor in UNITS:
            lines.append(_unit(sensor, sensor, ask, proposal))
    lines += ["", "[rig]", f'reference = "{sensors[0]}"']
    if len(sensors) > 1:
        lines.append(
            "registered = []  # not known: sensors that share its field of view, pixel on pixel"
        )
    return "\n".join(lines) + "\n"


def _texts(words: Iterable[str]) -> str:
    """Write a list of texts in TOML."""
    chosen = list(words) if not isinstance(words, set) else sorted(words)
    return (
        "["
        + ", ".join('"' + w.replace("\\", "\\\\").replace('"', '\\"') + '"' for w in chosen)
        + "]"
    )
