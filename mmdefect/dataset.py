"""The captures that a card finds below a folder, as scenes.

* Finding looks at names only; a capture is read when its scene is asked for, so memory does not
  grow with the number of captures.
* One bad file costs one frame: that sensor is absent from the capture, the reason is kept in
  ``refused``, and the rest goes on.
* Nothing is ever written below the root.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import xarray as xr

from mmdefect.building import SceneBuilder
from mmdefect.cache import SceneCache, card_key, scene_key
from mmdefect.capture_notes import check_stems, notes_on, nothing_found, wanted_sensors
from mmdefect.capture_scenes import CaptureScenes
from mmdefect.captures import Capture, Refusal, find_captures
from mmdefect.cards import Card, read_card
from mmdefect.errors import CardError
from mmdefect.model import Origin
from mmdefect.provenance import Digests
from mmdefect.reading import FrameReader
from mmdefect.rigging import read_card_rig


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
    readers : int
        Processes that read scenes ahead (``mmdefect.ahead``).

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
        readers: int = 0,
    ) -> None:
        self.card = card if isinstance(card, Card) else read_card(card)
        self.root = Path(root)
        self._again = partial(
            Dataset, self.card, self.root.absolute(), sensors=sensors, learnt=learnt,
            below=below and below.absolute(), cache=cache,
        )  # fmt: skip
        self.refused: list[Refusal] = []
        self.notes: list[str] = list(self.card.notes)
        self._digests = Digests(self.root)
        self._learnt, self._cache, self.readers = learnt, cache, readers
        self._reader = FrameReader(
            self.card, self.root, self.refused, learnt.sizes if learnt else {}
        )
        self._wanted = wanted_sensors(self.card, sensors)
        if not self.root.is_dir():
            raise CardError(f"'{root}' is no folder; give the folder that holds the captures")
        self._rig = read_card_rig(self.card, self.root, self._reader.adapter)
        if self._rig is not None:
            self.card, self._reader.rig = self._rig.card, self._rig.registration.rig
        self.card = replace(self.card, files={**self._reader.files(), **self.card.files})
        self._builder = SceneBuilder(self.card, self._reader, self._rig)
        if cache is not None:
            cache.serve(self.root)
        self._card_key = card_key(self.card) if cache is not None else ""
        scanners = self._rig.scanners if self._rig is not None else []
        looked_for = list(dict.fromkeys([*self._wanted, *scanners]))
        found, doubled, unplaced = find_captures(self.card, self.root, looked_for, below)
        found = [capture for capture in found if capture.frames.keys() & set(self._wanted)]
        self.refused += doubled
        named = set(self._reader.files().values())
        unplaced = [path for path in unplaced if self.root / path not in named]
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
                self.notes += notes_on(self.captures(category), self.sensors(category))

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

    def finder(self) -> Callable[[], "Dataset"]:
        """Give what finds the same captures at the same place, in whatever process."""
        return self._again

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
        return self._builder.reference(self.sensors(category))

    def scenes(self, captures: Iterable[Capture], most_bytes: int = 0) -> CaptureScenes:
        """Give captures as scenes that are read when gone through; so many bytes may be kept."""
        return CaptureScenes(self, list(captures), most_bytes)

    def frames(
        self, capture: Capture, sensors: Sequence[str] | None = None
    ) -> dict[str, xr.DataArray]:
        """Read a capture's frames, each on its own grid, nothing resampled and nothing padded.

        Parameters
        ----------
        capture : Capture
        sensors : sequence of str, optional
            Read these only.

        Returns
        -------
        dict of str to DataArray (…, y, x), float32
            By sensor; one that is missing or refused is not in it.
        """
        wanted = self.sensors(capture.category) if sensors is None else sensors
        others = self.captures(capture.category)
        read = {name: self._reader.frame(capture, name, others, pad=False) for name in wanted}
        return {name: frame for name, frame in read.items() if frame is not None}

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
        SceneError
            When the card wants the background removed, but states no unit of the points.
        """
        attrs = {"dataset": self.card.name, **capture.attrs}
        if self._cache is None:
            return self._builder.built(capture, *self._of(capture.category), attrs)
        size, category = self.grid_size(capture.category), capture.category
        every = self.captures(category) if self.card.pad else []
        sizes = [self._reader.size(name, every) for name in self.sensors(category) if every]
        grid = (size, self.reference(category), self.sensors(category), sizes)
        key = scene_key(self._card_key, capture, self.digest, grid)
        kept = self._cache.get(key)
        if kept is not None:
            return kept.assign_attrs(attrs)
        scene = self._builder.built(capture, *self._of(capture.category), attrs)
        if not any(refusal.capture == capture.id for refusal in self.refused):
            self._cache.put(key, scene)
        return scene

    def teaches(self, capture: Capture) -> bool:
        """Tell whether a capture can be learnt from: good parts, and good pixels if so wished."""
        if capture.label == "good":
            return True
        marked = capture.mask is not None or bool(capture.boxes)
        return (
            self.card.truth.good_pixels is not None
            and marked
            and self._builder.masks_fit(capture, self.reference(capture.category))
        )

    def grid_size(self, category: str) -> tuple[int, int]:
        """Give the height and width in pixels of the reference's grid."""
        return self._builder.grid_size(self.captures(category), self.sensors(category))

    def own_size(self, capture: Capture) -> tuple[int, int] | None:
        """Give the reference frame's height and width before padding; None without padding."""
        return self._reader.own_size(capture, self.reference(capture.category))

    def manifest(self, captures: Iterable[Capture]) -> str:
        """Hash which files with which content were used (SHA-256), the rig's and flats included."""
        rig = self._rig.files if self._rig is not None else []
        return self._digests.manifest(captures, [*rig, *self._reader.files().values()])

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
            any(capture.label == "good" for capture in (*fit, *calibration)),
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

    def _of(self, category: str) -> tuple[list[Capture], list[str]]:
        return self.captures(category), self.sensors(category)

    def _frame(self, capture: Capture, name: str) -> xr.DataArray | None:
        return self._reader.frame(capture, name, self.captures(capture.category))

    def _seen(self, category: str) -> list[str]:
        """Find out which sensors a category has."""
        seen = {name for capture in self._captures[category] for name in capture.frames}
        seen |= set(self.card.promised)
        if self._learnt is not None:
            seen = set(self._learnt.sensors)
        return [name for name in self.card.sensors if name in seen and name in self._wanted]
