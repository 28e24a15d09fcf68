"""A card as text again, with the files it speaks of: what a model carries with it.

The card is written out in full, whatever it was built on, so that a model needs neither the
user's TOML nor the cards of the package's next version. A field that a card gains is written in
`written_of`; a file that it learns to speak of is taken along in `packed` and found again in
`unpacked`. Keys of cached scenes and of unfinished work follow by themselves.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from mmdefect.cards import Card, card_of
from mmdefect.errors import CardError
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
    return {
        **{name: getattr(card, name) for name in ("name", "title", "licence", "source")},
        "good": list(card.good),
        "splits": {role: list(folders) for role, folders in card.splits.items()},
        "frames": {target: list(patterns) for target, patterns in card.frames.items()},
        "sensors": sensors,
        "rig": {
            "reference": card.reference,
            "registered": list(card.registered),
            "mask_folders": list(card.mask_folders),
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
    return written_of(replace(card, zones=zones)), files


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
    for zone in card.zones:
        if zone.mask and PurePosixPath(zone.mask).name != zone.mask:
            raise CardError(
                f"card {where!r}: zone {zone.name!r} speaks of the file {zone.mask!r}, but one "
                "beside the card was promised; do not trust this model"
            )
    placed = tuple(
        replace(zone, mask=str(folder / zone.mask)) if zone.mask else zone for zone in card.zones
    )
    return replace(card, zones=placed)


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
