"""The rig that a card names: found on disk, and held against the card before anything is read.

The rig file lies in the data set, or beside the card: calibrations are often delivered with the
captures, and as often written later by somebody who may not add files to them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmdefect.cards import Card
from mmdefect.contracts import SensorAdapter
from mmdefect.errors import CardError, RegistrationError
from mmdefect.registration import Rig, read_rig

if TYPE_CHECKING:
    from mmdefect.registration.placing import Registration

SCANNERS = ("points", "depth")


@dataclass(frozen=True)
class CardRig:
    """A card and the rig that it names.

    Parameters
    ----------
    card : Card
        With the rig's reference, and the place of its file.
    registration : Registration
    files : list of Path
        What the rig was read from: its file and, where it has one, the CAD mesh.
    scanners : list of str
        The sensors from which the rig can take a surface: they place others even where they are
        not asked for themselves.
    """

    card: Card
    registration: "Registration"
    files: list[Path]
    scanners: list[str]


def read_card_rig(
    card: Card, root: Path, adapter: Callable[[str], SensorAdapter]
) -> CardRig | None:
    """Read the rig that a card names, and hold the card against it.

    Parameters
    ----------
    card : Card
    root : Path
        The data set's folder.
    adapter : callable
        From a sensor's name to its adapter.

    Returns
    -------
    CardRig or None
        None when the card names none.

    Raises
    ------
    CardError
        When there is no such file or it is no rig file; when its reference is no sensor of the
        card or another than the card's; when a sensor both has a camera and shares the
        reference's view; when a scanner's unit or axes are not the rig's.
    """
    if not card.rig:
        return None
    from mmdefect.registration.placing import Registration

    path = _find(card, root)
    try:
        rig = read_rig(path)
    except RegistrationError as error:
        raise CardError(f"card {card.name!r}: {error}") from error
    _check_sensors(card, rig)
    seated = {*rig.cameras, *card.registered}
    scanners = [n for n in card.sensors if n in seated and adapter(n).modality in SCANNERS]
    for name in scanners:
        _check_scanner(card, rig, name, adapter(name))
    files = [path, *([rig.surface] if isinstance(rig.surface, Path) else [])]
    card = replace(card, reference=rig.reference, files={**card.files, card.rig: path})
    return CardRig(card, Registration(rig, card.registered), files, scanners)


def _find(card: Card, root: Path) -> Path:
    """Find the rig file: a model's own, else below the data set's root, or beside the card."""
    if card.rig in card.files:
        return card.files[card.rig]
    places = [root / card.rig, card.folder / card.rig]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise CardError(
            f"card {card.name!r}: [rig] file is {card.rig!r}, but there is no such file below "
            f"'{root}' or beside the card; correct the path"
        )
    return path


def _check_sensors(card: Card, rig: Rig) -> None:
    """Refuse a rig that speaks of other sensors than the card, or otherwise of them."""
    where = f"card {card.name!r}: [rig]"
    if rig.reference not in card.sensors:
        raise CardError(
            f"{where} file {card.rig!r} has the reference {rig.reference!r}, but the sensors are: "
            f"{', '.join(card.sensors)}; name the rig's cameras after the card's sensors"
        )
    if card.reference not in ("", rig.reference):
        raise CardError(
            f"{where} reference is {card.reference!r}, but file {card.rig!r} says "
            f"{rig.reference!r}; leave the card's out"
        )
    both = sorted(set(card.registered) & set(rig.cameras) - {rig.reference})
    if both:
        raise CardError(
            f"{where} registered names {both[0]!r}, which has a camera of its own in "
            f"{card.rig!r}; say where it stands in one of the two"
        )


def _check_scanner(card: Card, rig: Rig, name: str, adapter: SensorAdapter) -> None:
    """Refuse a scanner whose lengths, or whose axes, are not the rig's."""
    where = f"card {card.name!r}: [sensors.{name}]"
    if adapter.unit_read != "mm":
        raise CardError(
            f"{where} is in {adapter.unit_read!r}, but the rig {card.rig!r} is in mm; state the "
            'scanner\'s unit, for example: unit = "mm"'
        )
    in_rig = name in rig.cameras and rig.cameras[name].points_in == "rig"
    if in_rig and getattr(adapter, "camera_frame", False):
        raise CardError(
            f"{where} drops points with z at 0 or below, but the rig {card.rig!r} says that they "
            "are written in the rig's frame (points_in), where such points may lie; add "
            "camera_frame = false"
        )
