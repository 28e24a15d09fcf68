"""Captures, found by their files' names.

Finding reads no file: a data set of ten thousand captures is listed in a moment, and what is
wrong inside a file shows when its scene is asked for.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mmdefect.cards import Card
from mmdefect.errors import CardError
from mmdefect.layout import MASK, Slot

TRAIN_SHARE = 0.7
FRAME_SUFFIXES = frozenset(".bmp .h5 .hdf5 .jpeg .jpg .npy .npz .pcd .ply .png .tif .tiff".split())


class Refusal(NamedTuple):
    """One file or capture that was not used, and why."""

    capture: str
    sensor: str
    file: str
    why: str


@dataclass(frozen=True)
class Capture:
    """All frames of one part at one trigger, as paths."""

    category: str
    split: str
    kind: str
    name: str
    label: str
    frames: dict[str, Path]
    mask: Path | None = None

    @property
    def id(self) -> str:
        """The capture's name within its data set."""
        return "/".join((self.category, self.split, self.kind, self.name))

    @property
    def attrs(self) -> dict[str, str]:
        """What a scene of it is labelled with."""
        told = {key: getattr(self, key) for key in ("category", "split", "kind", "label")}
        return {"capture": self.id, **told}


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
        Files in a place that another file has already.
    list of str
        Paths of pictures and arrays that have no place in the card.
    """
    found: dict[tuple[str, str, str, str], dict[str, Path]] = {}
    refused, unplaced = [], []
    for path, slot in _slots(card, root, below or root):
        if slot is None:
            unplaced.append(path.relative_to(root).as_posix())
            continue
        if slot.target not in (MASK, *sensors):
            continue
        place = found.setdefault((slot.category, slot.split, slot.kind, slot.capture), {})
        if slot.target in place:
            refused.append(
                Refusal(
                    "/".join(slot[:4]),
                    slot.target,
                    path.relative_to(root).as_posix(),
                    f"{place[slot.target].name} is there too; one file was promised: move one away",
                )
            )
        else:
            place[slot.target] = path
    captures = [_capture(card, key, files) for key, files in sorted(found.items())]
    refused += [
        Refusal(
            capture.id,
            MASK,
            capture.mask.relative_to(root).as_posix(),
            "there is no frame of that name; a mask goes by the name of its capture: rename it, "
            "or say in a card how masks are named",
        )
        for capture in captures
        if capture.mask is not None and not capture.frames
    ]
    return [capture for capture in captures if capture.frames], refused, unplaced


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
        for name in sorted([*files, *dotted]):
            path = Path(folder) / name
            slot = card.layout.match(path.relative_to(root).as_posix(), root_name)
            if path.suffix.lower() in FRAME_SUFFIXES and not name.startswith("."):
                yield path, slot if name.isprintable() else None


def _capture(card: Card, key: tuple[str, str, str, str], files: dict[str, Path]) -> Capture:
    """Make a capture; give it a split where the folders name none.

    By the capture's own name: the category may be the root folder's name, and a data set that is
    copied elsewhere keeps its split.
    """
    category, split, kind, name = key
    good = kind in card.good or not kind
    if not split:
        share = zlib.crc32(name.encode()) / 2**32
        split = "train" if good and share < TRAIN_SHARE else "test"
    mask = files.pop(MASK, None)
    return Capture(category, split, kind, name, "good" if good else "defect", files, mask)


def nothing_found(card: Card, root: Path, sensors: Sequence[str]) -> CardError:
    """Make the error that tells what was looked for, and where.

    Parameters
    ----------
    card : Card
    root : Path
    sensors : sequence of str

    Returns
    -------
    CardError
    """
    patterns = [pattern for group in card.frames.values() for pattern in group]
    folders = [folder for name in sensors for folder in card.sensors[name].folders]
    return CardError(
        f"no capture below {root.name!r} for the card {card.name!r}; it looks for "
        f"{'; '.join(patterns)} with sensors in the folders {', '.join(folders)}"
    )


def lacking_notes(captures: Sequence[Capture], sensors: Sequence[str]) -> list[str]:
    """Tell how many captures lack a sensor.

    Parameters
    ----------
    captures : sequence of Capture
        Of one category.
    sensors : sequence of str

    Returns
    -------
    list of str
        One note per sensor that some lack.
    """
    lacking = {name: sum(name not in c.frames for c in captures) for name in sensors}
    return [
        f"{captures[0].category}: {count} of {len(captures)} captures have no {name} frame"
        for name, count in lacking.items()
        if count
    ]


def check_stems(category: str, captures: Sequence[Capture]) -> None:
    """Refuse captures of which none has two sensors although two are there.

    Parameters
    ----------
    category : str
    captures : sequence of Capture

    Raises
    ------
    CardError
        The files of one capture do not have one name.
    """
    seen = sorted({name for capture in captures for name in capture.frames})
    if len(seen) < 2 or any(len(capture.frames) > 1 for capture in captures):
        return
    one, other = (next(c.name for c in captures if name in c.frames) for name in seen[:2])
    raise CardError(
        f"in {category!r} no capture has two sensors: {seen[0]!r} has files like {one!r}, "
        f"{seen[1]!r} like {other!r}; the frames of one capture must have one name, or say with "
        "--sensors which sensor to use"
    )
