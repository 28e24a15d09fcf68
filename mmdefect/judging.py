"""From a prediction to a verdict, place by place, and to the regions it rests on.

Each place of a part (the rest of it, and every zone that is judged apart) is one test at its
share of the false-alarm rate. The part is a defect when one of them alarms; it is referred to a
person when one of them cannot be promised at its rate, or its zone was not seen.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

import mmdefect.panel  # noqa: F401 - gives datasets .mmdefect
from mmdefect.peaks import Peaks, map_of, seen_on
from mmdefect.regions import Mask, Plane, Region, components, sized
from mmdefect.verdict import Calibration, conformal_p, conformal_threshold, parts_needed
from mmdefect.zones import Place


class Judge:
    """Judges predictions at one false-alarm rate.

    Parameters
    ----------
    calibration : Calibration
    peaks : Peaks
    false_alarm : float
        Of the whole part.
    """

    def __init__(self, calibration: Calibration, peaks: Peaks, false_alarm: float) -> None:
        self.calibration = calibration
        self.peaks = peaks
        self.false_alarm = false_alarm

    def judged(self, prediction: xr.Dataset, places: Sequence[Place]) -> xr.Dataset:
        """Add p-values and the verdict.

        Parameters
        ----------
        prediction : Dataset
        places : sequence of Place
            The rest of the part first.

        Returns
        -------
        Dataset
            As ``mmdefect.inspection.Inspection.predict`` tells.
        """
        rest, *zones = places
        judged = self.calibration.judge(prediction, self.false_alarm * rest.share)
        if not zones:
            return judged
        told = [self._zone(prediction, place) for place in zones]
        judged = judged.assign_coords(zone=[place.name for place in zones])
        for column, name in enumerate(("zone_level", "zone_p_value", "zone_verdict")):
            judged[name] = ("zone", [row[column] for row in told])
        tests = [(float(judged["p_value"].item()), rest.share)]
        tests += [(p, place.share) for (_, p, _), place in zip(told, zones, strict=True)]
        known = [p / share for p, share in tests if not np.isnan(p)]
        judged["p_value"] = min(1.0, min(known)) if known else np.nan
        judged.attrs["verdict"] = _joint([judged.attrs["verdict"], *(row[2] for row in told)])
        return judged

    def used(self, prediction: xr.Dataset, place: Place) -> tuple[str, ...]:
        """Choose the sensors whose maps a place is judged by.

        Parameters
        ----------
        prediction : Dataset
        place : Place

        Returns
        -------
        tuple of str
            Empty where no sensor has evidence on the place's grid.
        """
        needed = parts_needed(self.false_alarm * place.share)
        return self.peaks.usable(seen_on(prediction, place.grid), place.name, needed)

    def _zone(self, prediction: xr.Dataset, place: Place) -> tuple[float, float, str]:
        """Judge a zone: its level, its p-value, its verdict."""
        used = self.used(prediction, place)
        if not used:
            return np.nan, np.nan, "not_inspectable"
        level = self.peaks.level(map_of(prediction, used, self.calibration.combine), place)
        if np.isnan(level):
            return level, np.nan, "not_inspectable"
        good = self.peaks.of(used, place.name)
        threshold = conformal_threshold(good, self.false_alarm * place.share)
        verdict = "refer" if threshold is None else "defect" if level > threshold else "good"
        return level, conformal_p(level, good), verdict


def _joint(verdicts: Sequence[str]) -> str:
    """Join the verdicts of all places, that of the rest first."""
    if "defect" in verdicts:
        return "defect"
    if set(verdicts) == {"not_inspectable"}:
        return "not_inspectable"
    return "good" if set(verdicts) == {"good"} else "refer"


def places_to_regions(
    judge: Judge,
    prediction: xr.Dataset,
    places: Sequence[Place],
    areas: Mapping[str, Plane | None],
) -> list[Region]:
    """Find the regions of all places.

    Parameters
    ----------
    judge : Judge
    prediction : Dataset
    places : sequence of Place
    areas : mapping of str to float array (y, x) or None
        mm² a pixel by grid, where geometry is known.

    Returns
    -------
    list of Region
        The most surprising first.
    """
    return [region for region, _ in regions_with_pixels(judge, prediction, places, areas)]


def regions_with_pixels(
    judge: Judge,
    prediction: xr.Dataset,
    places: Sequence[Place],
    areas: Mapping[str, Plane | None],
) -> list[tuple[Region, Mask]]:
    """Find the regions of all places, each with its pixels (y, x).

    Parameters and order are those of `places_to_regions`.
    """
    found = [
        told for place in places for told in _regions(judge, prediction, place, areas[place.grid])
    ]
    return sorted(found, key=lambda told: (told[0].p_value, -told[0].evidence))


def _regions(
    judge: Judge, prediction: xr.Dataset, place: Place, area: Plane | None
) -> list[tuple[Region, Mask]]:
    """Find the regions of one place: connected, above what half of the good parts never reach."""
    peaks, combine = judge.peaks, judge.calibration.combine
    used = judge.used(prediction, place)
    start = peaks.usual(used, place.name)
    if start is None:
        return []
    fused = map_of(prediction, used, combine)
    good = peaks.of(used, place.name)
    told = []
    for pixels in components(fused, place.pixels, start, place.least_area_mm2, peaks.area):
        rows, columns = np.nonzero(pixels)
        highest = int(np.argmax(fused[rows, columns]))
        level = peaks.level(fused, place._replace(pixels=pixels))
        region = Region(
            place=place.name,
            box=(
                int(columns.min()),
                int(rows.min()),
                int(columns.max()) + 1,
                int(rows.max()) + 1,
            ),
            area_px=int(rows.size),
            area_mm2=sized(pixels, area),
            peak=(int(columns[highest]), int(rows[highest])),
            evidence=float(fused[rows[highest], columns[highest]]),
            p_value=conformal_p(level, good),
            sensors=_supporting(judge, prediction, place.name, used, pixels),
        )
        told.append((region, pixels))
    return told


def _supporting(
    judge: Judge, prediction: xr.Dataset, place: str, used: Sequence[str], pixels: np.ndarray
) -> tuple[str, ...]:
    """Name the sensors that would have seen the region alone; the strongest, where none would."""
    reached: dict[str, float] = {}
    alone: list[str] = []
    for name in used:
        own = prediction["evidence_map"].sel(sensor=name).values[pixels]
        own = own[np.isfinite(own)]
        if own.size:
            reached[name] = float(own.max())
            start = judge.peaks.usual((name,), place)
            alone += [name] if start is not None and reached[name] > start else []
    ranked = sorted(reached, key=lambda name: -reached[name])
    return tuple(name for name in ranked if name in alone) or tuple(ranked[:1])
