"""A card as text again, with the files it speaks of: what a model carries with it.

The card is written out in full, whatever it was built on, so that a model needs neither the
user's TOML nor the cards of the package's next version. A field that a card gains is written in
`written_of`; a file that it learns to speak of is taken along in `packed` and found again in
`unpacked`. Keys of cached scenes and of unfinished work follow by themselves. Files are zones'
masks, the rig and its mesh, and what sensors' options name: flats, darks, maps of bad pixels.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from mmdefect.cards import Card, SensorEntry, card_of
from mmdefect.errors import CardError
from mmdefect.registration import read_rig, rig_text
from mmdefect.registry import load
from mmdefect.truth import truth_written
from mmdefect.zone_table import zones_written


def written_of(card: Card) -> dict[str, Any]:
    """Write a card as the table it could have been read from.

    Parameters
    ----------
    card : Card

    Returns
    -------
    dict
        Of what JSON and TOML can hold; `mmdefect.cards.card_of` makes the same card of it.
    """
    sensors = {
        entry.name: {"adapter": entry.adapter, "folders": list(entry.folders), **entry.options}
        for entry in card.sensors.values()
    }
    file = {"file": card.rig} if card.rig else {}
    return {
        **{name: getattr(card, name) for name in ("name", "title", "licence", "source")},
        **truth_written(card.truth),
        "notes": list(card.notes),
        "good": list(card.good),
        "splits": {role: list(folders) for role, folders in card.splits.items()},
        "frames": {target: list(patterns) for target, patterns in card.frames.items()},
        "sensors": sensors,
        "rig": {
            "reference": card.reference,
            "registered": list(card.registered),
            **({"refine": list(card.refine)} if card.refine else {}),
            "mask_folders": list(card.mask_folders),
            "background": card.background,
            "pad": card.pad,
            **file,
        },
        "zones": zones_written(card.zones),
    }


def packed(card: Card) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Give a card with the files it speaks of, by names that no folder shapes.

    Parameters
    ----------
    card : Card

    Returns
    -------
    dict
        The card, speaking of the files by their new names.
    dict of str to bytes
        The files.

    Raises
    ------
    CardError
        When a file cannot be read.
    """
    files: dict[str, bytes] = {}
    zones = tuple(
        replace(zone, mask=_pack(zone.mask, f"zone-{number}", files)) if zone.mask else zone
        for number, zone in enumerate(card.zones)
    )
    sensors = {
        name: replace(entry, options=entry.options | _pack_options(card, entry, files))
        for name, entry in card.sensors.items()
    }
    rig = _pack_rig(card.files[card.rig], files) if card.rig in card.files else card.rig
    return written_of(replace(card, zones=zones, sensors=sensors, rig=rig)), files


def unpacked(written: dict[str, Any], folder: Path, where: str) -> Card:
    """Make the card whose files lie in a folder.

    Parameters
    ----------
    written : dict
        As `packed` gave it.
    folder : Path
        Where the files lie.
    where : str
        What messages call it.

    Returns
    -------
    Card

    Raises
    ------
    CardError
        When it is no card, or speaks of a file outside the folder.
    """
    card = card_of(written, where)
    masks = [(f"zone {zone.name!r}", zone.mask) for zone in card.zones if zone.mask]
    named = [(f"sensor {n!r}", file) for n in card.sensors for _, file in files_named(card, n)]
    named += [("[rig]", card.rig)] if card.rig else []
    for who, name in (*masks, *named):
        _check_beside(who, name, where)
    files = {name: folder / name for _, name in named}
    if card.rig:
        surface = read_rig(files[card.rig]).surface
        if isinstance(surface, Path):
            inside = surface.parent == folder
            _check_beside("[rig]", surface.name if inside else surface.as_posix(), where)
    placed = tuple(
        replace(zone, mask=str(folder / zone.mask)) if zone.mask else zone for zone in card.zones
    )
    return replace(card, zones=placed, files=files)


def files_named(card: Card, sensor: str) -> Iterator[tuple[str, str]]:
    """Tell which files the options of a sensor name: flats, darks, maps of bad pixels.

    Parameters
    ----------
    card : Card
    sensor : str

    Yields
    ------
    (str, str)
        The option, and the file's name in the card.
    """
    entry = card.sensors[sensor]
    for option in getattr(load("sensors", entry.adapter), "files", ()):
        told = entry.options.get(option)
        if isinstance(told, str):
            yield option, told


def _check_beside(who: str, name: str, where: str) -> None:
    """Refuse a name that leads out of the card's folder."""
    if PurePosixPath(name).name != name:
        raise CardError(
            f"card {where!r}: {who} speaks of the file {name!r}, but one beside the card was "
            "promised; do not trust this model"
        )


def _pack_options(card: Card, entry: SensorEntry, files: dict[str, bytes]) -> dict[str, str]:
    """Take along the files that a sensor's options name; one of a sensor not used may lack."""
    named = [(option, card.files.get(told)) for option, told in files_named(card, entry.name)]
    return {
        option: _pack(str(path), f"{entry.name}-{option}", files)
        for option, path in named
        if path is not None and path.is_file()
    }


def _pack_rig(path: Path, files: dict[str, bytes]) -> str:
    """Take a rig file along, and the mesh that it names by another name than its own."""
    name = _pack(str(path), "rig", files)
    rig = read_rig(path)
    if isinstance(rig.surface, Path):
        mesh = _pack(str(rig.surface), "rig-mesh", files)
        files[name] = rig_text(replace(rig, surface=Path(mesh))).encode()
    return name


def _pack(path: str, name: str, files: dict[str, bytes]) -> str:
    """Take a file along under a new name; give the name."""
    packed_name = name + Path(path).suffix.lower()
    try:
        files[packed_name] = Path(path).read_bytes()
    except OSError as error:
        raise CardError(
            f"'{path}', which the card speaks of, cannot be read: {error.strerror}"
        ) from error
    return packed_name
