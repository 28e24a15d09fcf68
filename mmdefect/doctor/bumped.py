"""Whether a camera was bumped: does a sensor still lie to the reference as it did in training.

A fixed offset is the rig file's affair, or ``registered``'s. Here only change counts, and change
can be measured where contrasts have little in common: each sensor's frame is aligned to the mean
of its *own* frames of training captures, and what moved in both sensors is the part. What is left
is the sensor's residual (``mmdefect.alignment.known``).

* Frames are looked at as they were delivered, before any rig: a bumped camera moves its frame.
* Where training captures themselves do not repeat, or show too little, the answer is "not
  measurable", and never "fine".
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.alignment import KnownPair, KnownPairs, Limits, Warp
from mmdefect.alignment.edges import Picture, halved, picture_of
from mmdefect.alignment.known import Followed, follow
from mmdefect.captures import Capture
from mmdefect.doctor.findings import DOUBTFUL, GOOD_TO_KNOW, Finding, Names, Seen
from mmdefect.plane import plane_of
from mmdefect.registration import Plane, Rig

KNOWN = 8
LEAST_TRAINING = 10
LEAST_LIMIT = 0.6
MOST_LIMIT = 1.4
SPREADS = 5.0
_SHARE_MEASURED = 0.8
_MOST_SIDE = 160
_LEAST_SIDE = 48
_LIMITS = Limits(predicted=0.4, agreement=0.75, rival=0.95)
_RAYLEIGH = 1.1774  # the median distance of normal errors in two directions, in spreads

Frames = Callable[[Capture, Sequence[str]], Mapping[str, xr.DataArray]]


class BumpCheck:
    """Follows one sensor's place against the reference over the captures of a category.

    Parameters
    ----------
    category, sensor, reference : str
    training : sequence of Capture
        Good captures to learn the usual place from.
    frames : callable
        Reads frames of a capture.
    rig : Rig, optional
        Says how the sensor's pixels lie to the reference's; else both have one field of view.

    Attributes
    ----------
    known : KnownPairs or None
        Means of training captures; None before learning, and where they show too little.
    """

    def __init__(
        self,
        category: str,
        sensor: str,
        reference: str,
        training: Sequence[Capture],
        frames: Frames,
        rig: Rig | None = None,
    ) -> None:
        self.category = category
        self.sensor = sensor
        self.reference = reference
        self._training = training
        self._frames = frames
        self._rig = rig
        self.known: KnownPairs | None = None
        self._why = ""
        self._steps = 0
        self._names: list[str] = []
        self._train: list[bool] = []
        self._moved = array("d")

    def look(self, seen: Seen) -> None:
        """Measure how far the sensor lies from its usual place: two numbers a capture."""
        if self.known is None and not self._why:
            self.learn()
        frames = [seen.frames.get(name) for name in (self.reference, self.sensor)]
        if self.known is None or frames[0] is None or frames[1] is None:
            return
        here = self.known.fixed_on_known(small(frames[0])[0])
        moved = self.residual(here, small(frames[1])[0])
        self._names.append(seen.capture.id)
        self._train.append(seen.capture.split == "train" and seen.capture.label == "good")
        self._moved.extend(moved if moved is not None else (np.nan, np.nan))

    def learn(self) -> None:
        """Average training captures; say why not where these do not show enough."""
        if len(self._training) < LEAST_TRAINING:
            self._why = f"{LEAST_TRAINING} good training captures are needed"
            return
        every = len(self._training) / KNOWN
        pairs: list[KnownPair] = []
        for number in range(KNOWN):
            capture = self._training[int(number * every)]
            read = self._frames(capture, [self.reference, self.sensor])
            if self.reference not in read or self.sensor not in read:
                continue
            fixed, _ = small(read[self.reference])
            moving, self._steps = small(read[self.sensor])
            if min(*fixed.shape, *moving.shape) < _LEAST_SIDE:
                self._why = "the frames are too small"
                return
            if pairs and (fixed.shape, moving.shape) != (
                pairs[0].fixed.shape,
                pairs[0].moving.shape,
            ):
                self._why = "the frames differ in size"
                return
            pairs.append(KnownPair(fixed, moving, self._usual(fixed.shape, moving.shape)))
            if len(pairs) == 2 and not alike(*pairs):
                self._why = "parts, or their frames, differ too much to be laid on each other"
                return
        if len(pairs) < KNOWN // 2:
            self._why = "too few training captures have both frames"
            return
        self.known = KnownPairs(pairs, limits=_LIMITS)

    def _usual(self, fixed: tuple[int, ...], moving: tuple[int, ...]) -> Warp:
        """Tell about where the reference's pixels lie on the sensor's frame."""
        sizes = (fixed[0], fixed[1]), (moving[0], moving[1])
        rig = self._rig
        if rig is None or self.sensor not in rig.cameras or not isinstance(rig.surface, Plane):
            return Warp.between(*sizes)
        cameras = rig.cameras[self.reference], rig.cameras[self.sensor]
        between = plane_warp(rig, self.sensor)
        first, second = ((camera.height, camera.width) for camera in cameras)
        return Warp.between(second, sizes[1]) @ between @ Warp.between(sizes[0], first)

    def residual(
        self, here: Sequence[Followed], moving: NDArray[np.float32]
    ) -> tuple[float, float] | None:
        """Tell how far the sensor lies from where the known captures have it.

        Parameters
        ----------
        here : sequence of Followed
            The reference's small frame on those of the known captures.
        moving : float32 array (y, x)
            The sensor's small frame.

        Returns
        -------
        (float, float) or None
            To the right and down, px of the sensor's frame; None where it is not measurable.
        """
        if self.known is None:
            return None
        found = self.known.joined(here, self.known.moving_on_known(moving))
        if not found.trusted:
            return None
        usual = self.known.pairs[0].warp
        places = here[0].warp.at(here[0].places)
        moved = (found.warp.at(places) - usual.at(places)).mean(0) * 2**self._steps
        return float(moved[0]), float(moved[1])

    def findings(self) -> Iterator[Finding]:
        """Say how well the place repeats, which captures lie elsewhere, or that nobody knows."""
        if not self._why and not self._names:
            return
        moved = np.array(self._moved).reshape(-1, 2)
        known, train = np.isfinite(moved).all(1), np.array(self._train, dtype=bool)
        usual, limit = usual_place(moved[known & train])
        shown = known[train].mean() if train.any() else 0.0
        if self._why or shown < _SHARE_MEASURED or limit > MOST_LIMIT:
            yield self._not_measurable(shown, limit)
            return
        away = np.linalg.norm(moved - usual, axis=1)
        repeats = float(np.quantile(away[known & train], 0.95))
        yield self._told(
            GOOD_TO_KNOW,
            f"the place of {self.sensor} against {self.reference} repeats to {repeats:.2f} px in "
            f"95 % of the training captures; {int(known.sum())} of {len(known)} captures were "
            "measured",
            "a camera that was bumped since lies elsewhere",
            "nothing",
            Names(int(known.sum())),
        )
        yield from self._bumped(moved - usual, away, limit)
        if (~known).any():
            yield self._told(
                GOOD_TO_KNOW,
                f"where {self.sensor} lies is not measurable in {int((~known).sum())} captures",
                "a bumped camera would not be noticed there",
                "look at these frames: do they show the part?",
                self._named(~known),
            )

    def _bumped(
        self, moved: NDArray[np.float64], away: NDArray[np.float64], limit: float
    ) -> Iterator[Finding]:
        """Name the captures in which the sensor lies elsewhere."""
        far = away > limit
        if far.any():
            right, down = np.median(moved[far], axis=0)
            yield self._told(
                DOUBTFUL,
                f"in {int(far.sum())} captures {self.sensor} lies elsewhere against "
                f"{self.reference} than in the training captures: {right:+.1f} px right, "
                f"{down:+.1f} px down of its frame (limit {limit:.1f} px)",
                f"{self.sensor} or {self.reference} was bumped, or the part stands otherwise: "
                "registered sensors no longer meet",
                "look at the camera's mount, calibrate the rig again, capture these parts anew",
                self._named(far),
            )

    def _not_measurable(self, shown: float, limit: float) -> Finding:
        """Say that a bump could not be seen, and why."""
        why = self._why or (
            f"only {shown:.0%} of the training captures can be laid on each other"
            if shown < _SHARE_MEASURED
            else f"the training captures repeat to {limit:.1f} px only"
        )
        return self._told(
            GOOD_TO_KNOW,
            f"whether {self.sensor} was bumped is not measurable: {why}",
            "a camera that moved since calibration would not be noticed here",
            "check the rig on a target now and then",
            Names(len(self._names)),
        )

    def _named(self, chosen: NDArray[np.bool_]) -> Names:
        """Collect the names of captures."""
        names = Names()
        for index in np.flatnonzero(chosen):
            names.add(self._names[int(index)])
        return names

    def _told(self, severity: str, what: str, why: str, do: str, names: Names) -> Finding:
        return Finding(
            severity, "bump", self.category, self.sensor, what, why, do, names.count, names.named
        )


def usual_place(moved: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Give the usual residual, and from what distance on another is unusual.

    Parameters
    ----------
    moved : array (capture, 2), px
        Of training captures.

    Returns
    -------
    array (2,), px
        The median.
    float, px
        Five robust spreads, 0.6 px at least; infinite with fewer than four captures.
    """
    if len(moved) < LEAST_TRAINING // 2:
        return np.zeros(2), float("inf")
    usual = np.median(moved, axis=0)
    spread = float(np.median(np.linalg.norm(moved - usual, axis=1))) / _RAYLEIGH
    return np.asarray(usual), max(LEAST_LIMIT, SPREADS * spread)


def small(frame: xr.DataArray) -> tuple[NDArray[np.float32], int]:
    """Give a frame's picture, halved until it is small, and how often; NaN where blind.

    A scanner's holes lie at the steps that are its edges, so they are bridged.
    """
    picture, steps = picture_of(plane_of(frame)), 0
    if frame.attrs.get("modality") in ("points", "depth"):
        picture = Picture(picture.values, np.ones_like(picture.seen))
    while max(picture.size) > _MOST_SIDE:
        picture, steps = halved(picture), steps + 1
    return np.where(picture.seen, picture.values, np.float32(np.nan)), steps


def alike(one: KnownPair, other: KnownPair) -> bool:
    """Tell whether both sensors' frames of two captures can be laid on each other."""

    def fits(found: Followed) -> bool:
        return found.predicted < _LIMITS.predicted

    return fits(follow(one.pictures[0], other.fixed)) and fits(
        follow(one.pictures[1], other.moving)
    )


def plane_warp(rig: Rig, sensor: str) -> Warp:
    """Fit the warp from the reference's pixels to a sensor's, on the rig's nominal plane.

    Parameters
    ----------
    rig : Rig
        Whose surface is a plane.
    sensor : str

    Returns
    -------
    Warp
        Lenses bend it; it is exact in the middle only.
    """
    assert isinstance(rig.surface, Plane)
    reference = rig.cameras[rig.reference]
    down, right = np.mgrid[0.3:0.71:0.1, 0.3:0.71:0.1].reshape(2, -1)
    pixels = np.stack([right * reference.width, down * reference.height], axis=-1)
    rays, centre = reference.directions(pixels), reference.centre
    normal = rig.surface.normal
    far = ((rig.surface.point - centre) @ normal) / (rays @ normal)
    seen = rig.cameras[sensor].project(centre + rays * far[:, None])
    rows = []
    for (x, y), (u, v) in zip(pixels, seen, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    found = np.linalg.lstsq(np.array(rows), seen.reshape(-1), rcond=None)[0]
    return Warp(np.append(found, 1.0).reshape(3, 3))
