r"""Explanations held against planted truth: where a map points, and what the score depends on.

    mmdefect simulate FOLDER --seed 41 --size 128 --train 60 --test 60
    for product in panel bracket board; do
        python benchmarks/faithfulness.py FOLDER $product --lines $product.jsonl \
            --model $product.model
    done
    python benchmarks/faithfulness.py --tell panel.jsonl bracket.jsonl board.jsonl

* Place: area under the ROC curve of a map's pixels against the defect's mask, and whether its peak
  lies on the mask (grown by 8 px).
* Dependence: blocks of 8 × 8 pixels of single sensors are replaced by those of the median good
  part, the highest of a map first (deletion), or put into the median good part (insertion). Scores
  are told as a share of the whole defect's, averaged over steps of 1, 5 and 20 %. Two maps that
  look at no model, noise and the frames' edges, are the yardstick.
* Sanity: with the features of every bank's rows shuffled the map should be another one.
* Only parts that are called defective have maps worth asking. Intervals are of the mean over
  parts, 95 %, from 2,000 bootstrap draws; differences from noise and edges are paired.

Every part's numbers go to LINES as they come, and what is there is not computed again. With
`--features timm:SPEC` the banks hold a network's features, and `gradients` is asked too.
"""

import argparse
import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from mmdefect import Dataset, Inspection, load
from mmdefect.features._contrast import contrast_of
from mmdefect.scene import measured

FALSE_ALARM = 0.05
BLOCK = 8
SHARES = (0.01, 0.05, 0.2)
GROWN = 2 * 8 + 1
FEATHER = 2.0
REMEMBERED = 64
OCCLUSION = {"windows": 6, "strangest": 0.15}  # a third of the usual windows


def fitted(dataset: Dataset, given: argparse.Namespace) -> Inspection:
    if given.model.exists():
        return Inspection.load(given.model)
    good = dataset.captures(given.category, "train")
    features = dict.fromkeys(dataset.sensors(given.category), given.features)
    inspection = Inspection(load("fusion", "late")(features=features), FALSE_ALARM)
    learnt, held = good[: given.fit], good[given.fit : given.fit + given.calibrate]
    inspection.fit(dataset.scenes(learnt), dataset.scenes(held)).save(given.model)
    return inspection


def remembering(inspection: Inspection) -> None:
    """Let detectors give again what they said of the same frame: most steps change one sensor."""
    for name, detector in inspection.fusion.detectors_.items():
        told: dict[str, xr.Dataset] = {}

        def predict(scene, without=None, ask=detector.predict, name=name, told=told):
            key = sha256(scene[name].values.tobytes()).hexdigest()
            if key not in told:
                if len(told) >= REMEMBERED:
                    told.pop(next(iter(told)))
                told[key] = ask(scene, without=without)
            return told[key]

        detector.predict = predict


# ---------------------------------------------------------------- maps


def maps_of(inspection: Inspection, scene: xr.Dataset, rng: np.random.Generator) -> dict:
    """Maps (sensor, y, x) of the registered sensors by method; NaN is 0."""
    judged = inspection.predict(scene)
    names = judged["sensor"].values[judged["grid"].values == judged.attrs["reference"]]
    found = {}
    network = any("timm" in spec for spec in inspection.fusion.features.values())
    for method in ("shapley", "channels", "occlusion", *(["gradients"] if network else [])):
        asked = OCCLUSION if method == "occlusion" else {}
        told = load("explain", method)(**asked).attribute(inspection.fusion, judged, scene)
        found[method] = np.nan_to_num(told["attribution_map"].sel(sensor=names).values)
    if network:  # of either sign: a pixel that takes strangeness away matters as well
        found["gradients"] = gaussian_filter(np.abs(found["gradients"]), (0, 2, 2))
    edges = []
    for name in names:
        planes, known = contrast_of(scene[str(name)])
        plane = np.where(known.numpy(), planes[0].numpy(), np.nanmedian(planes[0].numpy()))
        strength = np.hypot(*np.gradient(gaussian_filter(plane, 1.0)))
        edges.append(strength / max(strength.mean(), 1e-9))
    found["edges"] = np.stack(edges)
    noise = rng.standard_normal(found["edges"].shape)
    found["noise"] = gaussian_filter(noise, (0, 4, 4))
    return {"names": [str(name) for name in names], "maps": found}


def mixed(base: xr.Dataset, other: xr.Dataset, masks: Mapping[str, np.ndarray]) -> xr.Dataset:
    """The base with other's pixels where masks say so, feathered."""
    made = base.copy()
    valid = base["valid"].values.copy()
    for number, name in enumerate(base["sensor"].values.tolist()):
        if name in masks:
            share = gaussian_filter(masks[name].astype(np.float32), FEATHER)
            share = np.maximum(share, masks[name]) * (share > 0.02)
            own, new = base[name].values, other[name].values
            blend = np.where(share > 0, (1 - share) * own + share * new, own)
            blend = np.where(np.isnan(blend), np.where(share > 0.5, new, own), blend)
            made[name] = base[name].copy(data=blend.astype(np.float32))
            valid[number] = measured(made[name]).values
            made[name] = made[name].where(xr.DataArray(valid[number], dims=("y", "x")))
            made[name].attrs = base[name].attrs
    made["valid"] = base["valid"].copy(data=valid)
    return made


def median_part(dataset: Dataset, category: str, count: int = 9) -> xr.Dataset:
    scenes = [dataset.scene(c) for c in dataset.captures(category, "train")[:count]]
    made = scenes[0].copy()
    valid = []
    for name in made["sensor"].values.tolist():
        stack = np.stack([scene[name].values for scene in scenes])
        known = np.isfinite(stack).sum(0) > count // 2
        middle = np.where(known, np.nanmedian(np.where(known, stack, 0), 0), np.nan)
        made[name] = made[name].copy(data=middle.astype(np.float32))
        valid.append(measured(made[name]).values)
        made[name] = made[name].where(xr.DataArray(valid[-1], dims=("y", "x")))
        made[name].attrs = scenes[0][name].attrs
    made["valid"] = made["valid"].copy(data=np.stack(valid))
    return made


def curve(inspection, base, other, names, ranked: np.ndarray, whole: float) -> float:
    """Mean score, as a share of the whole's, over the steps of a replacement."""
    blocks = ranked.shape
    order_ = np.argsort(-ranked.ravel(), kind="stable")
    told = []
    for share in SHARES:
        chosen = np.zeros(ranked.size, dtype=bool)
        chosen[order_[: max(1, round(share * ranked.size))]] = True
        grown = chosen.reshape(blocks).repeat(BLOCK, 1).repeat(BLOCK, 2)
        height, width = base.sizes["y"], base.sizes["x"]
        masks = {name: grown[n, :height, :width] for n, name in enumerate(names)}
        score = float(inspection.fusion.predict(mixed(base, other, masks))["image_score"])
        told.append(score / whole)
    return float(np.mean(told))


def blocked(maps: np.ndarray) -> np.ndarray:
    """Means over blocks of 8 × 8 pixels."""
    sensors, height, width = maps.shape
    down, across = -(-height // BLOCK), -(-width // BLOCK)
    padded = np.zeros((sensors, down * BLOCK, across * BLOCK))
    padded[:, :height, :width] = maps
    return padded.reshape(sensors, down, BLOCK, across, BLOCK).mean((2, 4))


def of_maps(inspection: Inspection, scene: xr.Dataset, good: xr.Dataset, seed: int) -> dict:
    told = maps_of(inspection, scene, np.random.default_rng(seed))
    truth = scene["defect"].values
    near = maximum_filter(truth, GROWN)
    whole = float(inspection.fusion.predict(scene)["image_score"])
    rows = {}
    for method, maps in told["maps"].items():
        flat = np.maximum(maps, 0).sum(0) if method == "shapley" else maps.max(0)
        peak = np.unravel_index(int(flat.argmax()), flat.shape)
        ranked = blocked(maps)
        rows[method] = {
            "auroc": float(roc_auc_score(truth.ravel(), flat.ravel())),
            "hit": bool(near[peak]),
            "deletion": curve(inspection, scene, good, told["names"], ranked, whole),
            "insertion": curve(inspection, good, scene, told["names"], ranked, whole),
        }
    shuffled = randomised(inspection)
    again = shuffled.fusion.predict(scene)
    other = load("explain", "shapley")().attribute(shuffled.fusion, again, scene)
    other = np.nan_to_num(other["attribution_map"].sel(sensor=told["names"]).values)
    same = spearmanr(told["maps"]["shapley"].ravel(), other.ravel())[0]
    rows["randomised"] = {
        "auroc": float(roc_auc_score(truth.ravel(), np.maximum(other, 0).sum(0).ravel())),
        "spearman": float(same),
    }
    return rows


def randomised(inspection: Inspection) -> Inspection:
    """The same inspection with the features of every bank's rows shuffled among each other."""
    fusion = type(inspection.fusion).from_state(*inspection.fusion.state())
    generator = torch.Generator().manual_seed(0)
    for detector in fusion.detectors_.values():
        order_ = torch.argsort(torch.rand(detector.bank_.shape, generator=generator), dim=1)
        detector.bank_ = detector.bank_.gather(1, order_)
    made = Inspection(fusion, inspection.false_alarm)
    return made


# ---------------------------------------------------------------- tables


def interval(values: np.ndarray) -> str:
    """Mean over parts with its interval."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (2000, len(values)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def map_table(rows: list[dict]) -> None:
    methods = [name for name in rows[0] if name != "randomised"]
    told = {
        method: {key: np.array([row[method][key] for row in rows], float)
                 for key in ("auroc", "hit", "deletion", "insertion")}
        for method in methods
    }  # fmt: skip
    print(f"\n{len(rows)} parts called defective\n")
    print("| map | pixel AUROC | peak on the defect | deletion (low is faithful) | "
          "insertion (high is faithful) |\n|---|---|---|---|---|")  # fmt: skip
    for method, own in told.items():
        print(f"| {method} | {interval(own['auroc'])} | {own['hit'].mean():.2f} | "
              f"{interval(own['deletion'])} | {interval(own['insertion'])} |")  # fmt: skip
    print("\n| map | deletion less that of edges | of noise | insertion above that of edges | "
          "of noise | better than edges in both |\n|---|---|---|---|---|---|")  # fmt: skip
    for method in [name for name in methods if name not in ("edges", "noise")]:
        cells = [
            interval(told[method][key] - told[other][key])
            for key in ("deletion", "insertion") for other in ("edges", "noise")
        ]  # fmt: skip
        lower = told[method]["deletion"] < told["edges"]["deletion"]
        both = lower & (told[method]["insertion"] > told["edges"]["insertion"])
        print(f"| {method} | {' | '.join(cells)} | {both.sum()} of {len(both)} |")
    odd = [row["randomised"] for row in rows]
    same, auroc = (np.array([row[key] for row in odd]) for key in ("spearman", "auroc"))
    print(f"\nbanks shuffled: Spearman with the true map {interval(same)}, "
          f"pixel AUROC {interval(auroc)}")  # fmt: skip


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("category", nargs="?")
    parser.add_argument("--fit", type=int, default=24)
    parser.add_argument("--calibrate", type=int, default=20)
    parser.add_argument("--most", type=int, default=40, help="Parts called defective.")
    parser.add_argument("--features", default="builtin")
    parser.add_argument("--lines", type=Path, default=Path("faithfulness.jsonl"))
    parser.add_argument("--model", type=Path, default=Path("faithfulness-model"))
    parser.add_argument("--tell", type=Path, nargs="*", help="Only the table of these LINES.")
    given = parser.parse_args()
    if given.folder:
        measure(given)
    known = [line for path in given.tell or [given.lines] for line in lines_of(path)]
    rows = [line["maps"] for line in known if "maps" in line]
    if rows:
        map_table(rows)


def measure(given: argparse.Namespace) -> None:
    dataset = Dataset(str(given.folder / "card.toml"), given.folder)
    inspection = fitted(dataset, given)
    remembering(inspection)
    good = median_part(dataset, given.category)
    known = lines_of(given.lines)
    done = {line["capture"] for line in known}
    test = [c for c in dataset.captures(given.category, "test") if c.mask is not None]
    for number in np.random.default_rng(0).permutation(len(test)):
        capture = test[number]
        if sum("maps" in line for line in known) >= given.most:
            break
        if capture.id in done:
            continue
        scene = dataset.scene(capture)
        verdict = inspection.predict(scene).attrs["verdict"]
        line = {"capture": capture.id, "kind": capture.kind, "verdict": verdict}
        if verdict == "defect" and scene["defect"].values.any():
            line["maps"] = of_maps(inspection, scene, good, int(number))
        known.append(line)
        with given.lines.open("a") as out:
            out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
