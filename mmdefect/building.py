"""One scene of one capture's frames: registered, its background gone, marked, zones laid over.

The order counts. Registration comes first, because everything else is told on the grid; zones come
last, because what they ignore is ignored whatever was done before.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import xarray as xr

import mmdefect.panel  # noqa: F401 - gives datasets .mmdefect
from mmdefect.alignment.placing import refined
from mmdefect.boxes import with_boxes
from mmdefect.captures import Capture
from mmdefect.cards import Card
from mmdefect.errors import CardError, SensorError
from mmdefect.geometry.removal import without_background
from mmdefect.learnable import learnable
from mmdefect.radiography.shape import ShapeOptions
from mmdefect.reading import FrameReader
from mmdefect.registration import to_scene
from mmdefect.rigging import CardRig
from mmdefect.zones import Zones

if TYPE_CHECKING:
    from mmdefect.radiography.normalise import Normaliser


class SceneBuilder:
    """Builds the scenes of one data set.

    Parameters
    ----------
    card : Card
        With the rig's reference.
    reader : FrameReader
    rig : CardRig or None
    """

    def __init__(self, card: Card, reader: FrameReader, rig: CardRig | None) -> None:
        self.card = card
        self.reader = reader
        self.rig = rig
        self.zones = Zones(card.zones)
        self._normalisers: dict[str, Normaliser] = {}

    def built(
        self,
        capture: Capture,
        others: Sequence[Capture],
        sensors: Sequence[str],
        attrs: Mapping[str, str],
    ) -> xr.Dataset:
        """Read a capture's frames and bring them onto one grid.

        Parameters
        ----------
        capture : Capture
        others : sequence of Capture
            All of the category.
        sensors : sequence of str
            Of the category.
        attrs : mapping of str to str
            Of the scene.

        Returns
        -------
        Dataset
            A scene; see ``mmdefect.dataset.Dataset.scene`` for what is raised.
        """
        size, reference = self.grid_size(others, sensors), self.reference(sensors)
        scanners = self.rig.scanners if self.rig is not None else []
        read = {name: self.reader.frame(capture, name, others) for name in [*sensors, *scanners]}
        there = {name: frame for name, frame in read.items() if frame is not None}
        grids = self.grids(sensors)
        there = self._against_shapes(capture, there)
        if self.rig is not None:
            there, found = self.rig.registration.place(there)
            grids |= found
        elsewhere = [name for name in self.card.refine if grids.get(name) != reference]
        tried = refined(there, reference, elsewhere, size)
        there = tried.frames
        grids |= dict.fromkeys(tried.placed, reference)
        attrs = {**attrs, **({"aligned": _sentence(tried.told)} if tried.told else {})}
        frames = {
            name: there[name] if name in there else self.reader.blank(name, size)
            for name in sensors
        }
        fits = self.masks_fit(capture, reference)
        scene = to_scene(
            frames,
            reference=reference,
            registered=[name for name in self.card.registered if name in there],
            size=size,
            defect=self.reader.defect(capture, size) if fits else None,
            attrs=attrs,
        ).assign_coords(grid=("sensor", [grids[name] for name in sensors]))
        return self.zones.laid_over(self._marked(scene, capture, fits))

    def _against_shapes(
        self, capture: Capture, frames: dict[str, xr.DataArray]
    ) -> dict[str, xr.DataArray]:
        """Hold frames, still on their own grids, against the part's shape where a card says so."""
        kept = dict(frames)
        for name, frame in frames.items():
            shape = getattr(self.reader.adapter(name), "shape", None)
            if shape is None:
                continue
            try:
                kept[name] = self._normaliser(name, shape).normalised(frame, frames)
            except SensorError as error:
                self.reader.refuse(capture, name, capture.frames[name], str(error))
                del kept[name]
        return kept

    def _normaliser(self, name: str, shape: ShapeOptions) -> "Normaliser":
        """Make what holds a sensor's frames against the part's shape, once."""
        if self.rig is None:
            raise CardError(
                f"card {self.card.name!r}: [sensors.{name}] quantity {shape.quantity!r} needs to "
                "know where the source and the panel stand; give the card a rig: [rig] file"
            )
        if name not in self._normalisers:
            from mmdefect.radiography.normalise import Normaliser

            rig = self.rig.registration.rig
            self._normalisers[name] = Normaliser(rig, name, shape)
        return self._normalisers[name]

    def _marked(self, scene: xr.Dataset, capture: Capture, fits: bool) -> xr.Dataset:
        """Take the background out, and write down boxes and what may be learnt from."""
        if self.card.background == "plane":
            scene = without_background(scene)
        if capture.boxes is not None and fits:
            scene = with_boxes(scene, capture.boxes)
        margin = self.card.truth.good_pixels
        if margin is not None and capture.label == "defect" and capture.split != "test":
            scene = learnable(scene, margin)
        return scene

    def reference(self, sensors: Sequence[str]) -> str:
        """Name the sensor whose grid scenes have: the card's, else the first that is there.

        By a rig it is always the rig's reference, whether its frames are there or not.
        """
        if self.rig is not None:
            return self.card.reference
        on_grid = [self.card.reference, *self.card.registered]
        return next((name for name in on_grid if name in sensors), sensors[0])

    def masks_fit(self, capture: Capture, reference: str) -> bool:
        """Tell whether masks, which are drawn on the card's reference, are on the scene's grid."""
        family = (self.card.reference, *self.card.registered)
        return capture.label == "good" or reference in family

    def grids(self, sensors: Sequence[str]) -> dict[str, str]:
        """Name each sensor's grid, absent ones included."""
        reference = self.reference(sensors)
        family = {self.card.reference, *self.card.registered}
        if self.rig is not None:
            family |= set(self.rig.registration.rig.cameras)
        on_it = family if reference in family else {reference}
        return {name: reference if name in on_it else name for name in sensors}

    def grid_size(self, captures: Sequence[Capture], sensors: Sequence[str]) -> tuple[int, int]:
        """Give the height and width in pixels of the reference's grid.

        Raises
        ------
        CardError
            When no frame of the category can be read.
        """
        if self.rig is not None:
            return self.rig.registration.size
        for name in [self.reference(sensors), *sensors]:
            size = self.reader.size(name, captures)
            if size is not None:
                return size
        category = captures[0].category
        refused = [r for r in self.reader.refused if r.capture.startswith(f"{category}/")]
        raise CardError(
            f"no frame of {category!r} can be read: {refused[-1].file}: {refused[-1].why}"
            if refused
            else f"{category!r} has no frame"
        )


def _sentence(told: Mapping[str, str]) -> str:
    """Write what came of aligning sensors as one text."""
    return "; ".join(f"{name}: {text}" for name, text in told.items())
