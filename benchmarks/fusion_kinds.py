"""Banks, transformer, both, mapping, concatenated features: what each kind adds, by groups.

    python benchmarks/fusion.py captures --work WORK --product panel
    python benchmarks/fusion_kinds.py captures --work WORK --product panel --seed 0

The second uses what the first kept: the same third of the good parts, the same banks, the same
test parts. What is said of each capture is kept as well, and a run goes on where it was. Features
of a capture are computed once for all kinds.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from fusion_scores import kept_transformer

from fusion import FALSE_ALARM, features, parser_of, tested
from mmdefect import Dataset
from mmdefect.cache import SceneCache
from mmdefect.captures import Capture
from mmdefect.division import divide
from mmdefect.metrics import auroc_replicates, difference
from mmdefect.progress import progress_shown, track
from mmdefect.registry import load

FITTED = ("transformer", "mapping", "concat")
KINDS = ("bank", "transformer", "both", "mapping", "concat")


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


def told_of(name: str, fusion: Any, scene: xr.Dataset) -> dict[str, float]:
    """Score a part by one kind of fusion; the transformer tells three."""
    said = fusion.predict(scene)
    if name != "transformer":
        return {name: float(said["image_score"])}
    told = {"both": float(said["image_score"])}
    for source in said["source_evidence"]["source"].values:
        own = said["source_evidence"].sel(source=source, drop=True)
        joined = (fusion.late_ if source == "bank" else fusion).combine(own)
        told[str(source)] = float(joined)
    return told


def scored(
    dataset: Dataset, test: list[Capture], fusions: dict[str, Any], path: Path
) -> dict[str, dict[str, float]]:
    """Score every test capture, or take what was said of it before, kind by kind."""
    told: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
    for capture in track(test, len(test), "scoring"):
        own = told.setdefault(capture.id, {})
        wanted = [name for name in fusions if name not in own]
        if not wanted:
            continue
        scene = dataset.scene(capture)
        for name in wanted:
            own |= told_of(name, fusions[name], scene)
        partial = path.with_suffix(".partial.json")
        partial.write_text(json.dumps(told))
        partial.replace(path)
    return told


def show(test: list[Capture], told: dict[str, dict[str, float]], groups: dict[str, str]) -> None:
    """Print a row a group: AUROC of every kind, and what the transformer adds to the banks."""
    names = [name for name in KINDS if all(name in told[c.id] for c in test)]
    table = {name: np.array([told[c.id][name] for c in test]) for name in names}
    bad = np.array([c.label == "defect" for c in test])
    group = np.array([groups[c.kind] for c in test])
    apart = [f"{name} − bank" for name in names if name != "bank"]
    print("| " + " | ".join(["group", "n", *names, *apart]) + " |")
    for name in ["", *sorted(set(group[bad].tolist()))]:
        chosen = bad & ((group == name) | (name == ""))
        drawn = {k: auroc_replicates(v[~bad], v[chosen]) for k, v in table.items()}
        apart = [difference(drawn[k] - drawn["bank"]) for k in drawn if k != "bank"]
        cells = [name or "all", str(int(chosen.sum())), *(f"{v[0]:.3f}" for v in drawn.values())]
        cells += [f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]" for one in apart]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Fit, score, print."""
    parser = parser_of(__doc__ or "")
    parser.add_argument("--seed", type=int, default=0, help="which third")
    parser.add_argument("--without", action="append", default=[], choices=FITTED,
                        help="fit none of these; what it said before is shown")  # fmt: skip
    parser.add_argument("--most", type=int, help="only so many of the drawn test parts")
    asked = parser.parse_args()
    cache = SceneCache(asked.work / "scenes", 16 << 30)
    dataset = Dataset(asked.card or asked.folder / "card.toml", asked.folder, cache=cache)
    specs = features(dataset, asked.product, asked.weights)
    folder = asked.work / asked.product / f"seed{asked.seed}"
    train = [c for c in dataset.captures(asked.product) if c.split == "train"]
    fit, _ = divide(train[asked.seed :: asked.seeds], [], FALSE_ALARM, asked.seed)
    fusions = {
        name: kept_transformer(folder, specs, asked.seed) if name == "transformer"
        else load("fusion", name)(features=specs, seed=asked.seed)
        for name in FITTED if name not in asked.without
    }  # fmt: skip
    with progress_shown():
        scenes = [dataset.scene(capture) for capture in track(fit, len(fit), "reading")]
        fusions = {name: made.fit(scenes) for name, made in fusions.items()}
        share(fusions)
        test = tested(dataset, asked.product, asked.good, asked.defective)[: asked.most]
        told = scored(dataset, test, fusions, folder / "kinds.json")
    truth = json.loads((asked.folder / "truth.json").read_text())["captures"]
    show(test, told, {c.kind: truth[c.id]["group"] for c in test})


if __name__ == "__main__":
    main()
