"""Inspection zones as a card states them: ``[zones.NAME]``.

A part is not everywhere equally important. A zone is ignored, or it is judged apart from the rest
of the part, with a share of the false alarms and a least area of its own. What the words mean for
scenes and verdicts stands in ``mmdefect.zones``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmdefect.errors import CardError

_KEYS = {"polygon", "mask", "grid", "ignore", "least_area_mm2", "false_alarm"}
_MOST_POINTS = 10_000
PART = "part"


@dataclass(frozen=True)
class ZoneEntry:
    """One zone of a card.

    Parameters
    ----------
    name : str
    polygon : tuple of (float, float)
        Corners x, y in pixels of the scene; empty where a mask says it.
    mask : str
        Path of a picture that is above 0 inside the zone; empty where a polygon says it.
    grid : str
        The sensor whose pixels are meant; empty for the reference.
    ignore : bool
        Whether nothing in it counts.
    least_area_mm2 : float
        What is smaller is no defect, mm².
    false_alarm : float
        Share of the false-alarm rate, in (0, 1); 0 for an ignored zone.
    """

    name: str
    polygon: tuple[tuple[float, float], ...] = ()
    mask: str = ""
    grid: str = ""
    ignore: bool = False
    least_area_mm2: float = 0.0
    false_alarm: float = 0.0


def read_zones(table: Any, sensors: Mapping[str, object], where: str) -> tuple[ZoneEntry, ...]:
    """Read the ``[zones]`` of a card.

    Parameters
    ----------
    table : object
        What TOML gave.
    sensors : mapping
        The card's sensors by name.
    where : str
        The card's name, for messages.

    Returns
    -------
    tuple of ZoneEntry

    Raises
    ------
    CardError
        When a zone is not as promised, or their shares leave nothing for the rest of the part.
    """
    if not isinstance(table, dict):
        raise CardError(f"card {where!r}: [zones] must be a table of [zones.NAME]")
    zones = tuple(_zone(name, entry, sensors, where) for name, entry in table.items())
    total = sum(zone.false_alarm for zone in zones)
    if total >= 1:
        raise CardError(
            f"card {where!r}: the zones' shares of the false alarms sum to {total:g}, but less "
            "than 1 was promised, for the rest of the part is judged too; lower them"
        )
    return zones


def zones_written(zones: tuple[ZoneEntry, ...]) -> dict[str, dict[str, Any]]:
    """Give zones as the table they were read from.

    Parameters
    ----------
    zones : tuple of ZoneEntry

    Returns
    -------
    dict
        Of what JSON and TOML can hold.
    """
    return {
        zone.name: {
            key: [list(corner) for corner in value] if key == "polygon" else value
            for key in sorted(_KEYS)
            if (value := getattr(zone, key))
        }
        for zone in zones
    }


def _zone(name: str, entry: Any, sensors: Mapping[str, object], where: str) -> ZoneEntry:
    """Read one ``[zones.NAME]`` table."""
    place = f"card {where!r}: [zones.{name}]"
    if not isinstance(entry, dict):
        raise CardError(f"{place} must be a table")
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise CardError(
            f"{place} has the key {unknown[0]!r}; there are: {', '.join(sorted(_KEYS))}"
        )
    if name == PART:
        raise CardError(f"{place}: {PART!r} names what lies in no zone; call the zone otherwise")
    ignore, mask, grid = entry.get("ignore", False), entry.get("mask", ""), entry.get("grid", "")
    if not isinstance(ignore, bool) or not isinstance(mask, str) or not isinstance(grid, str):
        raise CardError(f"{place}: ignore is true or false, mask and grid are texts")
    if bool(entry.get("polygon")) == bool(mask):
        raise CardError(f"{place} must have either a polygon or a mask")
    if grid and grid not in sensors:
        raise CardError(
            f"{place} lies on the grid of {grid!r}, but the sensors are: {', '.join(sensors)}"
        )
    share = _number(entry.get("false_alarm", 0), f"{place}: false_alarm", 1)
    area = _number(entry.get("least_area_mm2", 0), f"{place}: least_area_mm2", float("inf"))
    if ignore == bool(share) or (ignore and area):
        raise CardError(
            f"{place} must either say ignore = true, or have a share of the false alarms "
            "(false_alarm, in (0, 1)) and, if wanted, least_area_mm2"
        )
    polygon = _polygon(entry.get("polygon", []), place)
    return ZoneEntry(name, polygon, mask, grid, ignore, area, share)


def _number(value: Any, what: str, bound: float) -> float:
    """Take a number in [0, bound)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < bound:
        raise CardError(f"{what} is {value!r}; a number from 0 to below {bound:g} was promised")
    return float(value)


def _polygon(corners: Any, place: str) -> tuple[tuple[float, float], ...]:
    """Take the corners of a polygon."""
    fits = isinstance(corners, list) and all(
        isinstance(corner, list)
        and len(corner) == 2
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in corner)
        and all(abs(v) < 1e6 for v in corner)
        for corner in corners
    )
    if not fits or (corners and not 3 <= len(corners) <= _MOST_POINTS):
        raise CardError(
            f"{place}: polygon must be a list of at least three corners [x, y] in pixels"
        )
    return tuple((float(x), float(y)) for x, y in corners)
