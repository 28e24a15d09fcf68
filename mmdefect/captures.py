"""Captures, found by their files' names.

Finding reads no frame: a data set of ten thousand captures is listed in a moment, and what is
wrong inside a file shows when its scene is asked for. Only where a card takes labels from the
truth are masks and box lists read, because a part without a label has no place.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mmdefect.boxes import Box, frame_number, read_boxes
from mmdefect.cards import Card
from mmdefect.errors import SensorError
from mmdefect.frames import read_mask
from mmdefect.layout import BOXES, MASK, Slot

TRAIN_SHARE = 0.7
STACK = ".stack"
"""Ends the name of a folder that is one frame: structured light's."""
FRAME_SUFFIXES = frozenset(
    f"{STACK} .bmp .db3 .dcm .dic .dicom .h5 .hdf5 .jpeg .jpg .npy .npz .nxs .pcd .ply .png .tif "
    ".tiff .zdf".split()
)
_LIST_SUFFIXES = frozenset({".csv", ".txt"})


class Refusal(NamedTuple):
    """One file or capture that was not used, and why."""

    capture: str
    sensor: str
    file: str
    why: str


@dataclass(frozen=True)
class Capture:
    """All frames of one part at one trigger, as paths.

    ``series`` names the part where several captures show one; ``boxes`` are its defects where the
    truth is a list of boxes, empty for a good part, None where there is no list.
    """

    category: str
    split: str
    kind: str
    name: str
    label: str
    frames: dict[str, Path]
    mask: Path | None = None
    series: str = ""
    boxes: tuple[Box, ...] | None = None

    @property
    def id(self) -> str:
        """The capture's name within its data set."""
        return "/".join((self.category, self.split, self.kind, self.name))

    @property
    def attrs(self) -> dict[str, str]:
        """What a scene of it is labelled with."""
        told = {key: getattr(self, key) for key in ("category", "split", "kind", "label")}
        return {"capture": self.id, **told}


@dataclass
class _Place:
    """The files of one capture, while they are gathered."""

    series: str = ""
    files: dict[str, Path] = field(default_factory=dict)
    split: str = ""


_Key = tuple[str, str, str, str]


def find_captures(
    card: Card, root: Path, sensors: Sequence[str], below: Path | None = None
) -> tuple[list[Capture], list[Refusal], list[str]]:
    """Walk a folder and gather its files into captures.

    Parameters
    ----------
    card : Card
        Says what lies where.
    root : Path
        An existing folder.
    sensors : sequence of str
        The sensors to look for.
    below : Path, optional
        Look only into this folder below the root.

    Returns
    -------
    list of Capture
        Sorted by category, split, kind and name.
    list of Refusal
        Files in a place that another file has already, masks and captures that cannot be used.
    list of str
        Paths of pictures and arrays that have no place in the card.

    Raises
    ------
    CardError
        When the card names a table of splits that cannot be read.
    """
    found: dict[_Key, _Place] = {}
    lists: dict[tuple[str, str], Path] = {}
    refused: list[Refusal] = []
    unplaced: list[str] = []
    roles = {name: role for role, names in card.splits.items() for name in (role, *names)}
    assigned = card.truth.assign.splits(root, roles)
    for path, slot in _slots(card, root, below or root):
        relative = path.relative_to(root).as_posix()
        if slot is None:
            unplaced.append(relative)
            continue
        if slot.target == BOXES:
            lists[slot.category, slot.series] = path
        for target in card.layout.targets(slot.target):
            if target not in (MASK, *sensors):
                continue
            place = found.setdefault(place_key(slot), _Place(slot.series))
            other = place.files.setdefault(target, path)
            if other is not path:
                refused.append(_doubled(slot, relative, other))
            elif target != MASK:
                place.split = place.split or assigned.of(relative)
    _join_masks(found)
    truths = _BoxLists(card, lists)
    captures = []
    for key, place in sorted(found.items()):
        made = _capture(card, key, place, truths, root)
        if isinstance(made, Refusal):
            refused.append(made)
        else:
            captures.append(made)
    captures.sort(key=lambda c: (c.category, c.split, c.kind, c.name))
    return captures, refused, unplaced


def place_key(slot: Slot) -> _Key:
    """Tell which capture a file belongs to; a series is part of its captures' names.

    Parameters
    ----------
    slot : Slot

    Returns
    -------
    tuple of str
        Category, split, kind and name, as the path has them.
    """
    whole = slot.capture.startswith(slot.series)
    name = slot.capture if whole else f"{slot.series}_{slot.capture}"
    return slot.category, slot.split, slot.kind, name


def _doubled(slot: Slot, relative: str, other: Path) -> Refusal:
    return Refusal(
        "/".join(place_key(slot)),
        slot.target,
        relative,
        f"{other.name} is there too; one file was promised: move one away",
    )


def _join_masks(found: dict[_Key, _Place]) -> None:
    """Give masks whose folders name no split, or no kind, to the captures of their name.

    Where several splits have one, the test split's is meant: that is what masks are drawn for.
    """
    named: dict[tuple[str, str], list[_Key]] = {}
    for key, place in found.items():
        if set(place.files) - {MASK}:
            named.setdefault((key[0], key[3]), []).append(key)
    for key in [key for key, place in found.items() if set(place.files) == {MASK}]:
        fitting = [
            other
            for other in named.get((key[0], key[3]), [])
            if key[1] in ("", other[1]) and key[2] in ("", other[2])
        ]
        chosen = [other for other in fitting if other[1] == "test"] or fitting
        free = [other for other in chosen if MASK not in found[other].files]
        if free:
            mask = found.pop(key).files[MASK]
            for other in free:
                found[other].files[MASK] = mask


def _slots(card: Card, root: Path, below: Path) -> Iterator[tuple[Path, Slot | None]]:
    """Give every picture or array, or folder in a file's place, and its place in the card."""
    root_name = root.resolve().name
    walked: set[str] = set()
    for folder, folders, files in os.walk(below, followlinks=True):
        walked.add(os.path.realpath(folder))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and os.path.realpath(os.path.join(folder, name)) not in walked
        )
        dotted = [name for name in folders if Path(name).suffix in FRAME_SUFFIXES]
        folders[:] = [name for name in folders if Path(name).suffix != STACK]
        for name in sorted([*files, *dotted]):
            path = Path(folder) / name
            suffix = path.suffix.lower()
            if name.startswith(".") or suffix not in FRAME_SUFFIXES | _LIST_SUFFIXES:
                continue
            slot = card.layout.match(path.relative_to(root).as_posix(), root_name)
            if (suffix in _LIST_SUFFIXES) == (slot is not None and slot.target == BOXES):
                yield path, slot if name.isprintable() else None


def capture_of(card: Card, slot: Slot, frames: dict[str, Path], root: Path) -> Capture:
    """Make the capture of frames that no walk found, as `find_captures` would have made it.

    Parameters
    ----------
    card : Card
        One that takes no label from the truth.
    slot : Slot
        The place of any of its frames.
    frames : dict of str to Path
        At least one, by sensor.
    root : Path

    Returns
    -------
    Capture
        Without mask and boxes.
    """
    made = _capture(
        card, place_key(slot), _Place(slot.series, dict(frames)), _BoxLists(card, {}), root
    )
    assert isinstance(made, Capture)  # only the truth can refuse a capture that has a frame
    return made


class _BoxLists:
    """The box lists of a data set, each read once, when it is needed."""

    def __init__(self, card: Card, paths: dict[tuple[str, str], Path]) -> None:
        self._card = card
        self._paths = paths
        self._read: dict[Path, dict[int, list[Box]]] = {}

    def of(self, category: str, series: str, name: str) -> tuple[Box, ...] | None:
        """Give a frame's boxes; None where no list speaks of it."""
        path, number = self._paths.get((category, series)), frame_number(name)
        if path is None or number is None:
            return None
        if path not in self._read:
            truth = self._card.truth
            self._read[path] = read_boxes(path, truth.box_columns, truth.box_origin)
        return tuple(self._read[path].get(number, ()))


def _capture(
    card: Card, key: _Key, place: _Place, lists: _BoxLists, root: Path
) -> Capture | Refusal:
    """Make a capture; give it a label and a split where the folders name none."""
    category, split, kind, name = key
    mask = place.files.pop(MASK, None)
    where = next(iter(place.files.values()), mask)
    assert where is not None  # a place begins with a file
    relative = where.relative_to(root).as_posix()
    if not place.files:
        return Refusal(
            "/".join(key),
            MASK,
            relative,
            "there is no frame of that name; a mask goes by the name of its capture: rename it, "
            "or say in a card how masks are named",
        )
    try:
        boxes = lists.of(category, place.series, name)
        marked = _marked(mask, boxes) if card.truth.labels == "truth" else None
    except SensorError as error:
        return Refusal("/".join(key), MASK, relative, f"its truth cannot be read: {error}")
    good = kind in card.good or not kind
    if card.truth.labels == "truth":
        if marked is None:
            return Refusal(
                "/".join(key),
                MASK,
                relative,
                "it has neither a mask nor a box list, from which this card takes the labels; add "
                "an empty mask if the part is good",
            )
        good, kind = not marked, kind or ("defect" if marked else card.good[0])
    teaches = good or card.truth.good_pixels is not None
    split = split or place.split or _drawn_split(place.series or name, teaches)
    label = "good" if good else "defect"
    return Capture(category, split, kind, name, label, place.files, mask, place.series, boxes)


def _marked(mask: Path | None, boxes: tuple[Box, ...] | None) -> bool | None:
    """Tell whether the truth marks a defect; None where there is no truth."""
    if mask is None and boxes is None:
        return None
    return bool(boxes) or (mask is not None and bool(read_mask(mask).any()))


def _drawn_split(name: str, teaches: bool) -> str:
    """Draw a split by a part's own name.

    The category may be the root folder's name, and a data set that is copied elsewhere keeps its
    split; all captures of a series go to one side.
    """
    share = zlib.crc32(name.encode()) / 2**32
    return "train" if teaches and share < TRAIN_SHARE else "test"
