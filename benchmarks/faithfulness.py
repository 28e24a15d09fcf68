r"""Explanations held against planted truth: where a map points, and what the score depends on.

    mmdefect simulate FOLDER --seed 41 --size 128 --train 80 --test 120
    for product in panel bracket board; do
        python benchmarks/faithfulness.py FOLDER $product --lines $product.jsonl \
            --model $product.model --twins TWINS --features "$SPEC"
    done
    python benchmarks/faithfulness.py --tell panel.jsonl bracket.jsonl board.jsonl

* Place: area under the ROC curve of a map's pixels against the defect's mask, and whether its peak
  lies on the mask (grown by 8 px).
* Dependence: blocks of 8 × 8 pixels of single sensors are replaced by those of the part's own good
  twin (`twins.py`: the same part, light and noise without the defect), the highest of a map first
  (deletion), or put into the twin (insertion). Scores are told as a share of what the defect adds,
  0 the twin's and 1 the defective part's, averaged over steps of 1, 2, 5, 10 and 20 % of the
  blocks. Two maps that look at no model, random and the frames' edges, are the yardstick; the
  defect's own mask, in all sensors alike, tells what a map of places can reach.
* A part whose twin is called defective as well is left out, since there it is not the defect that
  the verdict rests on. How many, and the twins' p-values, are told.
* Sanity: with the features of every bank's rows shuffled the map should be another one.
* Only parts that are called defective have maps worth asking. Intervals are of the mean over
  parts, 95 %, from 2,000 bootstrap draws; differences from noise and edges are paired.

Every part's numbers go to LINES as they come, and what is there is not computed again. With
`--features timm:SPEC` the banks hold a network's features, and `gradients` is asked too.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from twins import Twins, differing

from mmdefect import Dataset, Inspection, load
from mmdefect.features._contrast import contrast_of
from mmdefect.scene import measured

FALSE_ALARM = 0.05
BLOCK = 8
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)
YARDSTICKS = ("edges", "random")
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
    found["random"] = gaussian_filter(noise, (0, 4, 4))
    whole = gaussian_filter(scene["defect"].values.astype(np.float32), 4.0)
    found["mask"] = np.broadcast_to(whole, found["edges"].shape)
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


def curve(inspection, base, other, names, ranked: np.ndarray) -> list[float]:
    """Scores after each step of a replacement."""
    blocks = ranked.shape
    ties = np.random.default_rng(0).permutation(ranked.size)
    order_ = np.lexsort((ties, -ranked.ravel()))
    told = []
    for share in SHARES:
        chosen = np.zeros(ranked.size, dtype=bool)
        chosen[order_[: max(1, round(share * ranked.size))]] = True
        grown = chosen.reshape(blocks).repeat(BLOCK, 1).repeat(BLOCK, 2)
        height, width = base.sizes["y"], base.sizes["x"]
        masks = {name: grown[n, :height, :width] for n, name in enumerate(names)}
        told.append(float(inspection.fusion.predict(mixed(base, other, masks))["image_score"]))
    return told


def blocked(maps: np.ndarray) -> np.ndarray:
    """Means over blocks of 8 × 8 pixels."""
    sensors, height, width = maps.shape
    down, across = -(-height // BLOCK), -(-width // BLOCK)
    padded = np.zeros((sensors, down * BLOCK, across * BLOCK))
    padded[:, :height, :width] = maps
    return padded.reshape(sensors, down, BLOCK, across, BLOCK).mean((2, 4))


def of_maps(inspection: Inspection, scene: xr.Dataset, twin: xr.Dataset, seed: int) -> dict:
    told = maps_of(inspection, scene, np.random.default_rng(seed))
    truth = scene["defect"].values
    near = maximum_filter(truth, GROWN)
    rows = {}
    for method, maps in told["maps"].items():
        flat = np.maximum(maps, 0).sum(0) if method == "shapley" else maps.max(0)
        peak = np.unravel_index(int(flat.argmax()), flat.shape)
        ranked = blocked(maps)
        rows[method] = {
            "auroc": float(roc_auc_score(truth.ravel(), flat.ravel())),
            "hit": bool(near[peak]),
            "deletion": curve(inspection, scene, twin, told["names"], ranked),
            "insertion": curve(inspection, twin, scene, told["names"], ranked),
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


def of_gap(line: dict, method: str, way: str) -> float:
    """Mean over the steps of what is left of the defect's score: 0 the twin's, 1 the whole."""
    whole, twin = line["score"], line["twin"]["score"]
    return float(np.mean((np.array(line["maps"][method][way]) - twin) / (whole - twin)))


def twin_table(lines: list[dict]) -> list[dict]:
    """Tell of the twins; give the lines whose twin passes."""
    twins = [line["twin"] for line in lines]
    p = np.array([twin["p_value"] for twin in twins])
    odd = sum(twin["verdict"] == "defect" for twin in twins)
    quartiles = ", ".join(f"{value:.2f}" for value in np.quantile(p, (0.25, 0.5, 0.75)))
    print(f"\n{len(lines)} parts called defective; twins called defective: {odd}; "
          f"twins' p-values, quartiles: {quartiles}")  # fmt: skip
    print(f"score, median: {np.median([line['score'] for line in lines]):.2f} with the defect, "
          f"{np.median([twin['score'] for twin in twins]):.2f} without")  # fmt: skip
    for name in twins[0]["differing"]:
        share = np.median([twin["differing"][name] for twin in twins])
        print(f"  {name}: {100 * share:.1f} % of the pixels differ from the twin's (median)")
    return [line for line in lines if line["twin"]["verdict"] != "defect"]


def map_table(lines: list[dict]) -> None:
    every = [name for name in lines[0]["maps"] if name != "randomised"]
    methods = [name for name in every if all(name in line["maps"] for line in lines)]
    told = {
        method: {key: np.array([line["maps"][method][key] for line in lines], float)
                 for key in ("auroc", "hit")}
        | {way: np.array([of_gap(line, method, way) for line in lines])
           for way in ("deletion", "insertion")}
        for method in methods
    }  # fmt: skip
    print("\n| map | pixel AUROC | peak on the defect | deletion (low is faithful) | "
          "insertion (high is faithful) |\n|---|---|---|---|---|")  # fmt: skip
    for method, own in told.items():
        print(f"| {method} | {interval(own['auroc'])} | {own['hit'].mean():.2f} | "
              f"{interval(own['deletion'])} | {interval(own['insertion'])} |")  # fmt: skip
    print("\n| map | deletion less that of edges | of random | insertion above that of edges | "
          "of random | better than edges in both |\n|---|---|---|---|---|---|")  # fmt: skip
    for method in [name for name in methods if name not in YARDSTICKS]:
        cells = [
            interval(told[method][key] - told[other][key])
            for key in ("deletion", "insertion") for other in YARDSTICKS
        ]  # fmt: skip
        lower = told[method]["deletion"] < told["edges"]["deletion"]
        both = lower & (told[method]["insertion"] > told["edges"]["insertion"])
        print(f"| {method} | {' | '.join(cells)} | {both.sum()} of {len(both)} |")
    odd = [line["maps"]["randomised"] for line in lines]
    same, auroc = (np.array([row[key] for row in odd]) for key in ("spearman", "auroc"))
    print(f"\nbanks shuffled: Spearman with the true map {interval(same)}, "
          f"pixel AUROC {interval(auroc)}")  # fmt: skip


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("category", nargs="?")
    parser.add_argument("--fit", type=int, default=41)
    parser.add_argument("--calibrate", type=int, default=39)
    parser.add_argument("--most", type=int, default=40, help="Parts called defective.")
    parser.add_argument("--features", default="builtin")
    parser.add_argument("--lines", type=Path, default=Path("faithfulness.jsonl"))
    parser.add_argument("--model", type=Path, default=Path("faithfulness-model"))
    parser.add_argument("--twins", type=Path, default=Path("twins"), help="Where twins are kept.")
    parser.add_argument("--tell", type=Path, nargs="*", help="Only the table of these LINES.")
    given = parser.parse_args()
    if given.folder:
        measure(given)
    known = [line for path in given.tell or [given.lines] for line in lines_of(path)]
    asked = [line for line in known if "maps" in line]
    if asked:
        print("kinds:", dict(Counter(f"{c['capture'].split('/')[0]} {c['kind']}" for c in asked)))
        map_table(twin_table(asked))


def told_of(judged: xr.Dataset) -> dict:
    return {
        "verdict": judged.attrs["verdict"],
        "p_value": float(judged["p_value"]),
        "score": float(judged["image_score"]),
    }


def measure(given: argparse.Namespace) -> None:
    dataset = Dataset(str(given.folder / "card.toml"), given.folder)
    inspection = fitted(dataset, given)
    remembering(inspection)
    twins = Twins(given.folder, given.twins)
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
        judged = inspection.predict(scene)
        line = {"capture": capture.id, "kind": capture.kind, **told_of(judged)}
        if line["verdict"] == "defect" and scene["defect"].values.any():
            twin = twins.of(capture)
            line["twin"] = told_of(inspection.predict(twin)) | {"differing": differing(scene, twin)}
            line["maps"] = of_maps(inspection, scene, twin, int(number))
        known.append(line)
        with given.lines.open("a") as out:
            out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
