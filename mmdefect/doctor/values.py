"""What the numbers of a sensor look like: ranges and units, holes, saturation, steps.

A unit that is off by a thousand, a camera driven into saturation and a scanner that sees half of
the part all train without a complaint. Only frames of one sensor of one category are compared.
"""

from array import array
from collections.abc import Iterator

import numpy as np

from mmdefect.doctor.findings import (
    DOUBTFUL,
    GOOD_TO_KNOW,
    MOST_NAMED,
    WRONG,
    Finding,
    Seen,
)
from mmdefect.plane import plane_of

PLAUSIBLE: dict[tuple[str, ...], tuple[float, float]] = {
    ("infrared", "K"): (200.0, 2500.0),
    ("points", "mm"): (1.0, 1e5),
    ("depth", "mm"): (1.0, 1e5),
    ("xray", "1"): (-0.1, 1.3),
    ("xray", "1", "attenuation"): (-0.3, 9.3),
    ("xray", "1", "excess"): (-1.0, 1.0),
    ("xray", "1", "ratio"): (0.0, 2.0),
}
"""Where the 5 % and 95 % quantiles of a frame in a known unit are believed."""
PLATEAU = 0.01
_FEW_FRAMES = 0.1
_HOLES = 0.5
_DARK = 1 / 3
_OUTLYING = 8.0
_UNSTEADY = 0.15
_LOW_CONTRAST = 0.02
_COUNTED = 12
_BYTE = 256


class ValuesCheck:
    """Looks at the numbers of one sensor of one category.

    Kept per capture: seven numbers, and its name only where it stands out.

    Parameters
    ----------
    category, sensor : str
    """

    def __init__(self, category: str, sensor: str) -> None:
        self.category = category
        self.sensor = sensor
        self._ids: list[str] = []
        self._level, self._low, self._high = array("d"), array("d"), array("d")
        self._span = array("d")
        self._blind, self._top, self._bottom = array("d"), array("d"), array("d")
        self._distinct: list[int] = []
        self._step: list[float] = []
        self.modality, self.units = "", ""
        self._kind: tuple[str, ...] = ("", "")

    def look(self, seen: Seen) -> None:
        """Take the frame's quantiles, holes and plateaus."""
        frame = seen.frames.get(self.sensor)
        if frame is None:
            return
        self.modality, self.units = frame.attrs["modality"], frame.attrs["units"]
        quantity = frame.attrs.get("quantity")
        self._kind = (self.modality, self.units, *([str(quantity)] if quantity else []))
        values = plane_of(frame)
        known = values[np.isfinite(values)]
        least, low, level, high, most = np.quantile(known, [0.001, 0.05, 0.5, 0.95, 0.999])
        self._ids.append(seen.capture.id)
        for kept, number in (
            (self._level, level),
            (self._low, low),
            (self._high, high),
            (self._span, most - least),
            (self._blind, 1 - known.size / values.size),
            (self._top, float((known == known.max()).mean())),
            (self._bottom, float((known == known.min()).mean())),
        ):
            kept.append(float(number))
        if len(self._distinct) < _COUNTED:
            steps = np.unique(known)
            self._distinct.append(len(steps))
            self._step.append(float(np.median(np.diff(steps))) if len(steps) > 1 else 0.0)

    def findings(self) -> Iterator[Finding]:
        """Say what is implausible, blind, saturated, coarse or out of line."""
        if not self._ids:
            return
        yield from self._units()
        yield from self._holes()
        yield from self._saturation()
        yield from self._steps()
        yield from self._outliers()

    def summary(self) -> dict[str, float | str | int]:
        """Give the numbers of all frames together."""
        if not self._ids:
            return {"frames": 0}
        return {
            "frames": len(self._ids),
            "units": self.units,
            "low": float(np.median(self._low)),
            "level": float(np.median(self._level)),
            "high": float(np.median(self._high)),
            "invalid_share": float(np.mean(self._blind)),
        }

    def _told(
        self, severity: str, check: str, what: str, why: str, do: str, hit: np.ndarray | None = None
    ) -> Finding:
        """Make a finding about the frames that a mask names."""
        chosen = [] if hit is None else [self._ids[i] for i in np.flatnonzero(hit)]
        return Finding(
            severity,
            check,
            self.category,
            self.sensor,
            what,
            why,
            do,
            len(chosen) or len(self._ids),
            tuple(chosen[:MOST_NAMED]),
        )

    def _units(self) -> Iterator[Finding]:
        low, high = np.array(self._low), np.array(self._high)
        if self.units == "relative":
            yield self._told(
                GOOD_TO_KNOW,
                "units",
                f"{self.sensor} is in relative units, from {np.median(low):.4g} to "
                f"{np.median(high):.4g}",
                "no temperature, length or transmission can be read off",
                "if the counts have a scale, state unit and scale in the card",
            )
        least, most = PLAUSIBLE.get(self._kind, (-np.inf, np.inf))
        off = (low < least) | (high > most)
        if off.any():
            yield self._told(
                WRONG,
                "units",
                f"{off.sum()} of {len(off)} frames have values from {np.median(low[off]):.4g} to "
                f"{np.median(high[off]):.4g} {self.units}; {least:g} to {most:g} is plausible",
                "the unit or the scale in the card is wrong, and every read-out with it",
                "correct unit and scale of the sensor in the card",
                off,
            )
        flat = np.array(self._span) < _LOW_CONTRAST
        if self.modality == "rgb" and flat.any():
            yield self._told(
                DOUBTFUL,
                "units",
                f"{flat.sum()} of {len(flat)} frames use {_LOW_CONTRAST:.0%} of the range at most",
                "hardly anything is to be seen on them",
                "check exposure and whether 12 bits are stored in 16",
                flat,
            )

    def _holes(self) -> Iterator[Finding]:
        blind = np.array(self._blind)
        if blind.max() > 0:
            many = blind > _HOLES
            yield self._told(
                DOUBTFUL if many.any() else GOOD_TO_KNOW,
                "invalid",
                f"{blind.mean():.1%} of the pixels hold no measurement, {blind.max():.1%} in the "
                f"worst frame"
                + (f"; more than half in {many.sum()} of {len(many)}" if many.any() else ""),
                "where the sensor is blind it finds nothing",
                "check reflections, range and exposure" if many.any() else "nothing",
                many if many.any() else None,
            )

    def _saturation(self) -> Iterator[Finding]:
        bounded = self.modality == "rgb" or max(self._distinct) <= _BYTE
        if not bounded:
            return
        for name, plateau, severity in (
            ("highest", np.array(self._top), DOUBTFUL),
            ("lowest", np.array(self._bottom), GOOD_TO_KNOW),
        ):
            hit = plateau > PLATEAU
            if hit.mean() > _FEW_FRAMES:
                yield self._told(
                    severity,
                    "saturation",
                    f"in {hit.sum()} of {len(hit)} frames more than {PLATEAU:.0%} of the pixels "
                    f"(median {np.median(plateau[hit]):.0%}) have the {name} value",
                    "whatever lies beyond that value cannot be seen",
                    "nothing, if it is the background; else change the exposure or the range",
                    hit,
                )

    def _steps(self) -> Iterator[Finding]:
        distinct = int(np.median(self._distinct))
        unit = "" if self.units == "relative" else f" {self.units}"
        if distinct <= _BYTE and self.modality not in ("rgb", "points"):
            yield self._told(
                GOOD_TO_KNOW,
                "steps",
                f"a frame has about {distinct} different values, in steps of about "
                f"{np.median(self._step):.3g}{unit}",
                "what is smaller than a step cannot be seen",
                "export the sensor's own counts, if there are finer ones",
            )

    def _outliers(self) -> Iterator[Finding]:
        level = np.array(self._level)
        middle = np.median(level)
        spread = 1.4826 * np.median(np.abs(level - middle))
        far = np.abs(level - middle) > _OUTLYING * max(spread, 1e-3 * abs(middle))
        dark = (level < _DARK * middle) if self.modality in ("rgb", "xray") else far & False
        hit = far | dark if len(level) > _COUNTED else far & False
        if hit.mean() > _UNSTEADY:
            yield self._told(
                DOUBTFUL,
                "exposure",
                f"the level is not steady: {hit.sum()} of {len(hit)} frames are far off the "
                f"middle ({middle:.4g}), from {level[hit].min():.4g} to {level[hit].max():.4g}",
                "the sensor may scale every picture by itself; then one value means another thing "
                "in each",
                "switch automatic gain and range off, or export the sensor's own counts",
                hit,
            )
        elif hit.any():
            yield self._told(
                DOUBTFUL,
                "exposure",
                f"{hit.sum()} of {len(hit)} frames are far off the others' level "
                f"({middle:.4g}): from {level[hit].min():.4g} to {level[hit].max():.4g}",
                "a frame that is darker, brighter or warmer than all others scores high for that "
                "alone",
                "check the exposure; record them again, or record more such good parts",
                hit,
            )
