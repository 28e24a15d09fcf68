"""One part before the station, from end to end: draw it, plant a defect, let the sensors look.

Part, defect, surroundings and noise have random streams of their own, so the same seed gives the
same part, light and noise with and without the defect: a pair of twins.
"""

import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mmdefect.errors import CardError
from mmdefect.registration import Rig
from mmdefect.simulate.body import Part
from mmdefect.simulate.capture import (
    Capture,
    contrast_to_noise,
    draw_hardware,
    draw_surroundings,
    expose_all,
    extent_seen,
    render_all,
)
from mmdefect.simulate.fixture import draw_standing
from mmdefect.simulate.products import GOOD, kind_of, product_named
from mmdefect.simulate.raster import Mask, Rendering
from mmdefect.simulate.station import SENSORS, station
from mmdefect.simulate.tracer import World

SPLITS = ("train", "calibration", "test")


@dataclass(frozen=True)
class Specimen:
    """One part before the station, to be captured good and with any kind of defect.

    What all kinds share, the good twin, is built and rendered once.

    Parameters
    ----------
    product : str
        ``bracket``, ``panel`` or ``board``.
    seed, split, index
        Which part: the data set's seed, ``train``, ``calibration`` or ``test``, index within the
        split.
    size : int, px
        Rows and columns of the reference camera; see ``station``.
    aligned : bool
        Whether colour and points share one camera.
    sensors : tuple of str
        Render only these; the others' noise is the same with and without them.
    take : int
        How often the same part was captured before: light, heat, tube and noise are drawn anew.
    clamped_anew : bool
        Whether it was taken out of the fixture before each further take: where it lies is then
        drawn anew too.

    Raises
    ------
    CardError
        When product or split is unknown, or the frames are too small.
    """

    product: str = "panel"
    seed: int = 0
    split: str = "test"
    index: int = 0
    size: int = 256
    aligned: bool = False
    sensors: tuple[str, ...] = SENSORS
    take: int = 0
    clamped_anew: bool = False

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        product_named(self.product)
        _ = self.rig
        if self.split not in SPLITS:
            raise CardError(f"no split {self.split!r}; there are: {', '.join(SPLITS)}")

    @property
    def key(self) -> tuple[int, int, int, int]:
        """Seed, and number of product, of split and within the split: they draw everything."""
        product = zlib.crc32(self.product.encode())
        return self.seed, product, SPLITS.index(self.split), self.index

    @cached_property
    def rig(self) -> Rig:
        """Where the sensors stand."""
        return station(self.size, aligned=self.aligned)

    @cached_property
    def plan(self) -> Any:
        """What the good part is built after."""
        plan = product_named(self.product).draw(self._streams()[0])
        if not (self.take and self.clamped_anew):
            return plan
        return replace(plan, standing=draw_standing(self._anew()[0]))

    @cached_property
    def good(self) -> World:
        """The part without a defect."""
        return World(product_named(self.product).build(self.plan))

    @cached_property
    def seen_good(self) -> dict[str, Rendering]:
        """The part without a defect as the sensors see it, without noise."""
        return self.seen(self.good)

    def seen(self, world: World) -> dict[str, Rendering]:
        """Let the sensors look at a part under this capture's light and heat."""
        around = self._anew()[1] if self.take else self._streams()[2]
        return render_all(world, self.rig, draw_surroundings(around), self.sensors)

    def capture(self, kind: str = GOOD) -> Capture:
        """Make one capture in memory.

        Parameters
        ----------
        kind : str
            ``good`` or a kind of defect of the product. All share part, light and noise, so that
            ``good`` is every other kind's twin.

        Returns
        -------
        Capture

        Raises
        ------
        CardError
            When the kind is unknown.
        MmdefectError
            When open3d, which casts the rays, cannot be loaded.
        """
        if kind == GOOD:
            camera = self.rig.cameras[self.rig.reference]
            nowhere = np.zeros((camera.height, camera.width), np.bool_)
            return self._captured(kind, self.seen_good, self.good.part, nowhere, {}, {})
        planted = kind_of(product_named(self.product), kind).plant(self._streams()[1], self.plan)
        bad, twins = World(planted.part), [World(part) for part in planted.alike]
        seen, alike = self.seen(bad), [self.seen(twin) for twin in twins]
        if not twins:
            twins, alike = [self.good], [self.seen_good]
        extents = {
            name: extent_seen(planted, twins, bad, self.rig.cameras[name], self.rig)
            for name in dict.fromkeys((self.rig.reference, *self.sensors))
        }
        contrast = {
            name: min(contrast_to_noise(seen[name], twin[name], extents[name]) for twin in alike)
            for name in seen
        }
        mask = extents[self.rig.reference]
        return self._captured(kind, seen, planted.part, mask, planted.sizes, contrast)

    def _captured(
        self,
        kind: str,
        seen: dict[str, Rendering],
        part: Part,
        mask: Mask,
        sizes: dict[str, float],
        contrast: dict[str, float],
    ) -> Capture:
        """Add every sensor's noise."""
        noise = self._anew()[2:] if self.take else self._streams()[3:]
        frames = expose_all(seen, self.rig, draw_hardware(self.rig, self.seed), noise)
        return Capture(
            self.product, kind, self.key, self.rig, frames, mask, sizes, contrast, dict(seen), part
        )

    def _streams(self) -> list[np.random.Generator]:
        """Give the streams of the part, its defect, its surroundings and each sensor's noise."""
        return np.random.default_rng(self.key).spawn(3 + len(SENSORS))

    def _anew(self) -> list[np.random.Generator]:
        """Give the streams of a further take: clamping, surroundings, each sensor's noise."""
        return np.random.default_rng((*self.key, self.take)).spawn(2 + len(SENSORS))


def render_capture(product: str = "panel", kind: str = GOOD, **specimen: Any) -> Capture:
    """Make one capture in memory.

    Parameters
    ----------
    product : str
        ``bracket``, ``panel`` or ``board``.
    kind : str
        ``good`` or a kind of defect of that product. With the same other arguments, all kinds
        share part, light and noise, so that ``good`` is every other kind's twin.
    **specimen
        As for ``Specimen``, which makes captures of several kinds in less time.

    Returns
    -------
    Capture

    Raises
    ------
    CardError
        When product, kind or split is unknown, or the frames are too small.
    MmdefectError
        When open3d, which casts the rays, cannot be loaded.
    """
    return Specimen(product, **specimen).capture(kind)
