"""The captures that a card finds below a folder, as scenes.

* Finding looks at names only; a capture is read when its scene is asked for, so memory does not
  grow with the number of captures.
* One bad file costs one frame: that sensor is absent from the capture, the reason is kept in
  ``refused``, and the rest goes on.
* Nothing is ever written below the root.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import xarray as xr

from mmdefect.cache import SceneCache, card_key, scene_key
from mmdefect.capture_scenes import CaptureScenes
from mmdefect.captures import (
    Capture,
    Refusal,
    check_stems,
    find_captures,
    lacking_notes,
    nothing_found,
)
from mmdefect.cards import Card, read_card
from mmdefect.errors import CardError
from mmdefect.model import Origin
from mmdefect.provenance import Digests
from mmdefect.reading import FrameReader
from mmdefect.registration import to_scene
from mmdefect.zones import Zones


class Dataset:
    """The captures below a folder, in a card's grammar.

    Parameters
    ----------
    card : Card, str or Path
        A card, its name, or a TOML file.
    root : str or Path
        The folder.
    sensors : sequence of str, optional
        Use only these.
    learnt : Origin, optional
        What a model learnt from: the captures then have its sensors and its sizes, whatever is
        found.
    below : Path, optional
        Look only into this folder below the root.
    cache : SceneCache, optional
        Where scenes are kept.

    Raises
    ------
    CardError
        When the folder holds no capture in the card's grammar, or no capture in which two of its
        sensors were there together.

    Attributes
    ----------
    refused : list of Refusal
        What was not used so far.
    notes : list of str
        What a reader of the results should know about the data.
    """

    def __init__(
        self,
        card: Card | str | Path,
        root: str | Path,
        *,
        sensors: Sequence[str] | None = None,
        learnt: Origin | None = None,
        below: Path | None = None,
        cache: SceneCache | None = None,
    ) -> None:
        self.card = card if isinstance(card, Card) else read_card(card)
        self.root = Path(root)
        self.refused: list[Refusal] = []
        self.notes: list[str] = []
        self._digests = Digests(self.root)
        self._learnt = learnt
        self._cache = cache
        self._card_key = card_key(self.card) if cache is not None else ""
        self._zones = Zones(self.card.zones)
        self._reader = FrameReader(
            self.card, self.root, self.refused, learnt.sizes if learnt else {}
        )
        self._wanted = self._check_wanted(sensors)
        if not self.root.is_dir():
            raise CardError(f"'{root}' is no folder; give the folder that holds the captures")
        if cache is not None:
            cache.serve(self.root)
        found, doubled, unplaced = find_captures(self.card, self.root, self._wanted, below)
        self.refused += doubled
        if unplaced:
            self.notes.append(
                f"{len(unplaced)} pictures or arrays have no place in the card and were not "
                f"looked at, the first of them {unplaced[0]!r}"
            )
        self._captures: dict[str, list[Capture]] = {}
        for capture in found:
            self._captures.setdefault(capture.category, []).append(capture)
        self._sensors = {category: self._seen(category) for category in self._captures}
        if not self._captures:
            raise nothing_found(self.card, self.root, self._wanted)
        for category in self.categories:
            if learnt is None:
                check_stems(category, self.captures(category))
                self.notes += lacking_notes(self.captures(category), self.sensors(category))

    def __repr__(self) -> str:
        """Tell what is there."""
        total = sum(map(len, self._captures.values()))
        lines = [f"Dataset {self.card.name!r}: {total} captures"]
        for category in self.categories:
            counts = Counter(capture.split for capture in self.captures(category))
            held = ", ".join(f"{split} {n}" for split, n in sorted(counts.items()))
            lines.append(f"  {category}: {held}; sensors {', '.join(self.sensors(category))}")
        return "\n".join(lines)

    @property
    def categories(self) -> list[str]:
        """The kinds of part."""
        return sorted(self._captures)

    def captures(self, category: str, split: str | None = None) -> list[Capture]:
        """List captures.

        Parameters
        ----------
        category : str
        split : str, optional
            ``train``, ``calibration`` or ``test``.

        Returns
        -------
        list of Capture
            Sorted by split, kind and name.

        Raises
        ------
        CardError
            When there is no such category.
        """
        if category not in self._captures:
            raise CardError(f"no category {category!r}; there are: {', '.join(self.categories)}")
        captures = self._captures[category]
        return [c for c in captures if c.split == split] if split else captures

    def sensors(self, category: str) -> list[str]:
        """List the sensors of a category in the card's order.

        Those the card gives a place of their own belong to the rig even when every frame of them
        is missing.
        """
        return self._sensors[category]

    def reference(self, category: str) -> str:
        """Name the sensor whose grid the scenes have: the card's, else the first that is there."""
        sensors = self.sensors(category)
        on_grid = [self.card.reference, *self.card.registered]
        return next((name for name in on_grid if name in sensors), sensors[0])

    def scenes(self, captures: Iterable[Capture]) -> CaptureScenes:
        """Give captures as scenes that are read when they are gone through."""
        return CaptureScenes(self, list(captures))

    def scene(self, capture: Capture) -> xr.Dataset:
        """Read one capture.

        Parameters
        ----------
        capture : Capture

        Returns
        -------
        Dataset
            A scene; a sensor whose frame is missing or refused is blind everywhere.

        Raises
        ------
        CardError
            When no frame of the whole category is readable, so that there is no grid.
        RegistrationError
            When a sensor said to be registered has another field of view.
        """
        attrs = {"dataset": self.card.name, **capture.attrs}
        if self._cache is None:
            return self._built(capture, attrs)
        size, category = self.grid_size(capture.category), capture.category
        grid = (size, self.reference(category), self.sensors(category))
        key = scene_key(self._card_key, capture, self.digest, grid)
        kept = self._cache.get(key)
        if kept is not None:
            return kept.assign_attrs(attrs)
        scene = self._built(capture, attrs)
        if not any(refusal.capture == capture.id for refusal in self.refused):
            self._cache.put(key, scene)
        return scene

    def _built(self, capture: Capture, attrs: dict[str, str]) -> xr.Dataset:
        """Read a capture's frames and bring them onto one grid."""
        sensors = self.sensors(capture.category)
        size = self.grid_size(capture.category)
        read = {name: self._frame(capture, name) for name in sensors}
        frames = {
            name: self._reader.blank(name, size) if frame is None else frame
            for name, frame in read.items()
        }
        scene = to_scene(
            frames,
            reference=self.reference(capture.category),
            registered=[name for name in self.card.registered if read.get(name) is not None],
            size=size,
            defect=self._reader.defect(capture, size) if self._masks_fit(capture) else None,
            attrs=attrs,
        ).assign_coords(grid=("sensor", self._grids(capture.category)))
        return self._zones.laid_over(scene)

    def _masks_fit(self, capture: Capture) -> bool:
        """Tell whether masks, which are drawn on the card's reference, are on the scene's grid."""
        family = (self.card.reference, *self.card.registered)
        return capture.label == "good" or self.reference(capture.category) in family

    def _grids(self, category: str) -> list[str]:
        """Name each sensor's grid, absent ones included."""
        reference = self.reference(category)
        family = {self.card.reference, *self.card.registered}
        on_it = family if reference in family else {reference}
        return [reference if name in on_it else name for name in self.sensors(category)]

    def grid_size(self, category: str) -> tuple[int, int]:
        """Give the height and width in pixels of the reference's grid."""
        reference = self.reference(category)
        for name in [reference, *self.sensors(category)]:
            size = self._reader.size(name, self.captures(category))
            if size is not None:
                return size
        refused = [r for r in self.refused if r.capture.startswith(f"{category}/")]
        raise CardError(
            f"no frame of {category!r} can be read: {refused[-1].file}: {refused[-1].why}"
            if refused
            else f"{category!r} has no frame"
        )

    def manifest(self, captures: Iterable[Capture]) -> str:
        """Hash which files with which content were used (SHA-256)."""
        return self._digests.manifest(captures)

    def digest(self, path: Path) -> str | None:
        """Hash a file's bytes (SHA-256); None for what cannot be read."""
        return self._digests.of(path)

    def parts(self, captures: Iterable[Capture]) -> list[list[str]]:
        """Give the hashes of every capture's frames (SHA-256)."""
        return self._digests.parts(captures)

    def origin(self, fit: Sequence[Capture], calibration: Sequence[Capture]) -> Origin:
        """Tell what a model has to know of this data set.

        Parameters
        ----------
        fit, calibration : sequence of Capture
            Of one category.

        Returns
        -------
        Origin
        """
        category = fit[0].category
        every = self.captures(category)
        found = {name: self._reader.size(name, every) for name in self.sensors(category)}
        return Origin(
            self.card,
            category,
            tuple(self.sensors(category)),
            {name: size for name, size in found.items() if size is not None},
            self.manifest([*fit, *calibration]),
            self.parts(fit),
            self.parts(calibration),
        )

    def without_copies(
        self, captures: Iterable[Capture], learnt: Iterable[Capture]
    ) -> list[Capture]:
        """Drop captures that hold a frame the learning parts hold too, and note why.

        A frame with nothing in it (a scanner that failed writes the same file every time) is no
        copy.

        Parameters
        ----------
        captures : iterable of Capture
            To be scored.
        learnt : iterable of Capture
            To be learnt from.

        Returns
        -------
        list of Capture
        """
        owners = self._digests.owners(learnt)
        kept = []
        for capture in captures:
            twins = {
                name: twin
                for name, twin in self._digests.twins(capture, owners).items()
                if self._frame(capture, name) is not None
            }
            for name, twin in twins.items():
                self._reader.refuse(
                    capture,
                    name,
                    capture.frames[name],
                    f"the same image as {twin}, which is learnt from; a part cannot be both: "
                    "remove one of them",
                )
            if not twins:
                kept.append(capture)
        return kept

    def _frame(self, capture: Capture, name: str) -> xr.DataArray | None:
        return self._reader.frame(capture, name, self.captures(capture.category))

    def _check_wanted(self, sensors: Sequence[str] | None) -> list[str]:
        """Hold the chosen sensors against the card's."""
        unknown = [name for name in sensors or [] if name not in self.card.sensors]
        if unknown:
            raise CardError(
                f"no sensors named {str(unknown[0])!r}; the card {self.card.name!r} has: "
                f"{', '.join(self.card.sensors)}"
            )
        return list(sensors or self.card.sensors)

    def _seen(self, category: str) -> list[str]:
        """Find out which sensors a category has."""
        seen = {name for capture in self._captures[category] for name in capture.frames}
        seen |= {name for name in self.card.promised if name in self._wanted}
        if self._learnt is not None:
            seen = set(self._learnt.sensors)
        return [name for name in self.card.sensors if name in seen]
