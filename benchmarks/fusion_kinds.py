"""Banks, transformer, both, mapping, concatenated features: what each kind adds, by groups.

    python benchmarks/fusion.py captures --work WORK --product panel
    python benchmarks/fusion_kinds.py captures --work WORK --product panel

The second uses what the first kept: the same thirds of the good parts, the same banks, the same
test parts. What is said of each capture is kept as well, and a run goes on where it was. Features
of a capture are computed once for all kinds. Numbers are means over the seeds, intervals as there.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from fusion_kinds_tables import (
    ALONE,
    LEFT,
    Told,
    pixels_measured,
    show,
    show_kinds,
    show_left,
    show_pixels,
)
from fusion_scores import Spill, kept_transformer

from fusion import features, parser_of, sides, tested
from mmdefect import Dataset
from mmdefect.cache import SceneCache
from mmdefect.captures import Capture
from mmdefect.progress import progress_shown, track
from mmdefect.registry import load

FITTED = ("transformer", "mapping", "concat")


def kind_of(key: str) -> str:
    """Name the kind of fusion that a score is of."""
    return key if key in FITTED and key != "transformer" else "transformer"


class Shared:
    """An extractor that remembers the last frame it described, whoever asks."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.last = inner, (None, None)

    def __getattr__(self, name: str) -> Any:
        """Give everything else that the extractor has."""
        return getattr(self.inner, name)

    def features(self, frame: xr.DataArray) -> xr.DataArray:
        """Describe patches, or give what was told of the same frame."""
        if self.last[0] is not frame.values:
            self.last = (frame.values, self.inner.features(frame))
        return self.last[1]


def share(fusions: dict[str, Any]) -> None:
    """Let all kinds ask the same extractors; they looked at the same good parts."""
    readers = [
        made.crossing_.reader if name == "transformer" else made.reader_
        for name, made in fusions.items()
    ]
    for name, eye in readers[0].extractors.items() if readers else ():
        shared = Shared(eye.inner)
        for reader in readers:
            reader.extractors[name].inner = shared


def told_of(name: str, fusion: Any, said: xr.Dataset) -> dict[str, float]:
    """Read a part's score by one kind of fusion; the transformer tells three, and each bank's."""
    if name != "transformer":
        return {name: float(said["image_score"])}
    told = {"both": float(said["image_score"])}
    for source in said["source_evidence"]["source"].values:
        own = said["source_evidence"].sel(source=source, drop=True)
        joined = (fusion.late_ if source == "bank" else fusion).combine(own)
        told[str(source)] = float(joined)
    banks = said["source_evidence"].sel(source="bank")
    return told | {ALONE + n: float(banks.sel(sensor=n)) for n in banks["sensor"].values}


def told_of_left(fusion: Any, scene: xr.Dataset, own: dict[str, float]) -> dict[str, float]:
    """Score a part by banks and network, for every two and more sensors that are left."""
    names = list(fusion.sensors)
    sources = np.full((2, len(names)), np.nan)
    sources[0] = [own[ALONE + name] for name in names]
    said = xr.Dataset({"source_evidence": (("source", "sensor"), sources)})
    told = {}
    for left, weight in fusion.evidence_left(scene, said).items():
        if len(left) > 1:
            labelled = xr.DataArray(weight, {"sensor": names}, ("sensor",)).sel(sensor=list(left))
            told[LEFT + " ".join(left)] = float(fusion.combine(labelled))
    return told


class Scores:
    """What one seed's kinds say of every test capture, kept kind by kind.

    What a kind said before is taken only where it was fitted to the same state.

    Parameters
    ----------
    folder : Path
        Of the seed.
    captures : list of Capture
    fusions : dict of str to Fusion
        Fitted, by kind.
    pixels, left : bool
        Whether the transformer's fused maps are kept as well, and its scores without sensors.
    """

    def __init__(
        self,
        folder: Path,
        captures: list[Capture],
        fusions: dict[str, Any],
        pixels: bool,
        left: bool,
    ) -> None:
        self.path, self.captures, self.fusions = folder / "kinds.json", captures, fusions
        crossed = fusions.get("transformer")
        self.left = left and crossed is not None and len(crossed.sensors) > 2
        held = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.told: dict[str, dict[str, float]] = held.get("told", {})
        self.states: dict[str, str] = held.get("states", {})
        self.maps = folder / f"both{len(captures)}.npy" if pixels else None
        self.mapped = folder / f"both{len(captures)}.json"
        for name, fusion in fusions.items():
            state = hashlib.sha256(json.dumps(fusion.state()[1], sort_keys=True).encode())
            if self.states.get(name) != state.hexdigest():
                self._forget(name)
                self.states[name] = state.hexdigest()

    def _forget(self, name: str) -> None:
        """Drop what a kind said in another state."""
        if name == "transformer":
            self.mapped.unlink(missing_ok=True)
        for own in self.told.values():
            for key in [key for key in own if kind_of(key) == name]:
                del own[key]

    def take(self, dataset: Dataset) -> None:
        """Score what was not scored before."""
        fusions = self.fusions
        drawn = set(json.loads(self.mapped.read_text())) if self.mapped.exists() else set()
        for number, capture in enumerate(track(self.captures, len(self.captures), "scoring")):
            own = self.told.setdefault(capture.id, {})
            draws = self.maps is not None and number not in drawn
            wanted = [name for name in fusions if self._lacks(name, own, draws)]
            lacks_left = self.left and not any(key.startswith(LEFT) for key in own)
            if not wanted and not lacks_left:
                continue
            scene = dataset.scene(capture)
            for name in wanted:
                said = fusions[name].predict(scene)
                own |= told_of(name, fusions[name], said)
                if name == "transformer" and draws:
                    self._draw(number, said["anomaly_map"].values)
                    drawn.add(number)
            if lacks_left:
                own |= told_of_left(fusions["transformer"], scene, own)
            _put(self.path, {"states": self.states, "told": self.told})
            if self.maps is not None:
                _put(self.mapped, sorted(drawn))

    def _lacks(self, name: str, own: dict[str, float], draws: bool) -> bool:
        """Tell whether a kind has something to say of a capture yet."""
        return draws or "both" not in own if name == "transformer" else name not in own

    def _draw(self, number: int, fused: np.ndarray) -> None:
        """Keep one capture's fused map (y, x)."""
        assert self.maps is not None
        size = None if self.maps.exists() else fused.shape
        Spill(self.maps, len(self.captures), ("both",), size).put(number, fused[None])

    def table(self) -> dict[str, np.ndarray]:
        """Give every kind's scores (capture,), of the kinds that scored all."""
        names = list(dict.fromkeys(key for c in self.captures for key in self.told[c.id]))
        return {
            name: np.array([self.told[c.id][name] for c in self.captures])
            for name in names
            if all(name in self.told[c.id] for c in self.captures)
        }


def _put(path: Path, told: Any) -> None:
    partial = path.with_suffix(".partial.json")
    partial.write_text(json.dumps(told))
    partial.replace(path)


def scored(
    dataset: Dataset, asked: argparse.Namespace, seed: int, test: list[Capture]
) -> dict[str, np.ndarray]:
    """Fit every kind on one third of the good parts, and score the test parts."""
    specs = features(dataset, asked.product, asked.weights)
    folder = asked.work / asked.product / f"seed{seed}"
    fit, _ = sides(dataset, asked, seed)
    fusions = {
        name: kept_transformer(folder, specs, seed) if name == "transformer"
        else load("fusion", name)(features=specs, seed=seed)
        for name in FITTED if name not in asked.without
    }  # fmt: skip
    scenes = [dataset.scene(capture) for capture in track(fit, len(fit), "reading")]
    fusions = {name: made.fit(scenes) for name, made in fusions.items()}
    del scenes
    share(fusions)
    kept = Scores(folder, test, fusions, asked.pixels, asked.left)
    kept.take(dataset)
    return kept.table()


def main() -> None:
    """Fit, score, print."""
    parser = parser_of(__doc__ or "")
    parser.add_argument("--seed", type=int, action="append", help="which third; default: all")
    parser.add_argument("--without", action="append", default=[], choices=FITTED,
                        help="fit none of these; what it said before is shown")  # fmt: skip
    parser.add_argument("--most", type=int, help="only so many of the drawn test parts")
    parser.add_argument("--pixels", action="store_true", help="AUPRO of the fused maps, too")
    parser.add_argument("--left", action="store_true", help="scores with sensors taken away, too")
    asked = parser.parse_args()
    cache = SceneCache(asked.work / "scenes", 16 << 30)
    dataset = Dataset(asked.card or asked.folder / "card.toml", asked.folder, cache=cache)
    test = tested(dataset, asked.product, asked.good, asked.defective)[: asked.most]
    seeds = asked.seed or list(range(asked.seeds))
    if asked.pixels and not pixels_measured(asked.work / asked.product):
        parser.error("the banks' maps are not there: run fusion.py without --only-parts before")
    with progress_shown():
        tables = [scored(dataset, asked, seed, test) for seed in seeds]
    truth = json.loads((asked.folder / "truth.json").read_text())["captures"]
    told = Told(
        asked.product, tables, [c.label for c in test], [c.kind for c in test],
        {c.kind: truth[c.id]["group"] for c in test},
    )  # fmt: skip
    show(told)
    show_kinds(told)
    show_left(told)
    if asked.pixels:
        show_pixels(told, dataset, test, [asked.work / asked.product / f"seed{n}" for n in seeds])


if __name__ == "__main__":
    main()
