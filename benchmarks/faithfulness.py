"""Explanations held against planted truth: which sensor, where, and what the score depends on.

    mmdefect simulate FOLDER --product panel --train 288 --test 750 --size 192 --seed 6006
    python benchmarks/faithfulness.py FOLDER panel --fit 60 --calibrate 60 --most 300 --maps 10

* Sensor: the simulator tells of every planted defect which sensors can see it. Where that is one,
  it should have the largest share; where they are several, shares should be ordered as the
  contrast-to-noise ratios are (Spearman).
* Place: area under the ROC curve of a map's pixels against the defect's mask, and whether its peak
  lies on the mask (grown by 8 px).
* Dependence: blocks of 8 × 8 pixels of single sensors are replaced by those of the median good
  part, the highest of a map first (deletion), or put into the median good part (insertion). Scores
  are told as a share of the whole defect's, averaged over the steps. Two maps that look at no
  model, noise and the frames' edges, are the yardstick.
* With `--kept WORK/panel/seed0` the first table and the place are told of what `fusion.py` kept in
  WORK: the same detectors' words on every test capture, without reading a frame again.
* Sanity: with the features of every bank's rows shuffled the map should be another one.

Every capture's numbers go to LINES as they come, and what is there is not computed again.
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
from mmdefect.captures import Capture
from mmdefect.division import divide
from mmdefect.features._contrast import contrast_of
from mmdefect.frames import read_mask
from mmdefect.scene import measured

FALSE_ALARM = 0.05
BLOCK = 8
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
GROWN = 2 * 8 + 1
FEATHER = 2.0


def fitted(dataset: Dataset, category: str, fit: int, calibrate: int, model: Path) -> Inspection:
    if model.exists():
        return Inspection.load(model)
    good = dataset.captures(category, "train")
    inspection = Inspection(load("fusion", "late")(), 0.05)
    learnt, held = good[:fit], good[fit : fit + calibrate]
    inspection.fit(dataset.scenes(learnt), dataset.scenes(held)).save(model)
    return inspection


# ---------------------------------------------------------------- which sensor


def of_sensors(inspection: Inspection, scene: xr.Dataset, truth: Mapping) -> dict:
    judged = inspection.predict(scene)
    part = judged.isel(y=slice(1), x=slice(1))  # of the part, not of its pixels
    shares = load("explain", "shapley")().attribute(inspection.fusion, part, scene)
    names = judged["sensor"].values.tolist()
    attribution = dict(zip(names, shares["attribution"].values.tolist(), strict=True))
    return {
        "kind": truth["kind"],
        "verdict": judged.attrs["verdict"],
        "p_value": float(judged["p_value"]),
        "seen": [name for name in names if truth["visibility"].get(name) == "seen"],
        "contrast": truth["contrast_to_noise"],
        "attribution": attribution,
    }


def sensor_table(lines: list[dict]) -> None:
    defects = [line for line in lines if line["kind"] != "good"]
    found = [line for line in defects if line["verdict"] == "defect"]
    one = [line for line in defects if len(line["seen"]) == 1]
    told = [line for line in one if line["verdict"] == "defect"]
    right = [line for line in told if top(line["attribution"]) == line["seen"][0]]
    print(f"\n{len(lines)} captures, {len(defects)} defective, {len(found)} called defective")
    print(f"seen by one sensor only: {len(one)}, called defective {len(told)}, "
          f"missed {len(one) - len(told)}")  # fmt: skip
    if told:
        print(
            f"its share is the largest: {len(right)} of {len(told)} ({len(right) / len(told):.3f})"
        )
    for sensor in sorted({line["seen"][0] for line in one}):
        mine = [line for line in told if line["seen"][0] == sensor]
        good = sum(top(line["attribution"]) == sensor for line in mine)
        planted = sum(line["seen"][0] == sensor for line in one)
        print(f"  {sensor:10} planted {planted}, called defective {len(mine)}, right {good}")
    several = [line for line in found if len(line["seen"]) > 1]
    orders = [order(line) for line in several]
    if orders:
        above = np.mean(np.array(orders) > 0)
        print(f"seen by several: {len(orders)}; Spearman of share and contrast over the sensors:")
        print(f"  mean {np.mean(orders):.2f}, above 0 in {above:.2f}")
    good = [line for line in lines if line["kind"] == "good"]
    odd = [line for line in good if line["verdict"] != "good"]
    refused = [line for line in lines if line["verdict"] == "not_inspectable"]
    print(f"good parts not called good: {len(odd)} of {len(good)}; not inspectable: {len(refused)}")


def top(shares: Mapping[str, float]) -> str:
    return max(shares, key=lambda name: shares[name])


def order(line: dict) -> float:
    names = list(line["attribution"])
    return float(
        spearmanr([line["attribution"][n] for n in names], [line["contrast"][n] for n in names])[0]
    )


# ---------------------------------------------------------------- kept by fusion.py


def unread(capture: Capture, sensors: tuple[str, ...], size: tuple[int, int]) -> xr.Dataset:
    """A scene without frames: what was said of it is found by its name."""
    height, width = size
    return xr.Dataset(
        {"valid": (("sensor", "y", "x"), np.ones((len(sensors), height, width), dtype=bool))},
        coords={
            "sensor": list(sensors),
            "grid": ("sensor", [sensors[0]] * len(sensors)),
            "y": np.arange(float(height)),
            "x": np.arange(float(width)),
        },
        attrs={"capture": capture.id, "reference": sensors[0]},
    )


def of_kept(dataset: Dataset, category: str, kept: Path, truth: Mapping, places: int) -> list[dict]:
    from fusion_scores import kept_late

    sensors = tuple(dataset.sensors(category))
    size = dataset.grid_size(category)
    seed = int(kept.name.removeprefix("seed"))
    states = {name: json.loads((kept / name / "state.json").read_text()) for name in sensors}
    fusion = kept_late(kept, {name: told["features"] for name, told in states.items()}, seed)
    train = [c for c in dataset.captures(category) if c.split == "train"][seed::3]
    sides = divide(train, [], FALSE_ALARM, seed)
    inspection = Inspection(fusion, FALSE_ALARM).fit(
        *([unread(c, sensors, size) for c in side] for side in sides)
    )
    lines = []
    for capture in [c for c in dataset.captures(category) if c.split == "test"]:
        named = f"{capture.id} without None".encode()
        if not (kept / sensors[0] / f"{sha256(named).hexdigest()[:24]}.npz").exists():
            continue
        scene = unread(capture, sensors, size)
        line = {"capture": capture.id, **of_sensors(inspection, scene, truth[capture.id])}
        if capture.mask is not None and sum("place" in one for one in lines) < places:
            line["place"] = of_place(inspection, scene, read_mask(capture.mask))
        lines.append(line)
    return lines


def of_place(inspection: Inspection, scene: xr.Dataset, defect: np.ndarray) -> dict:
    judged = inspection.predict(scene)
    shares = load("explain", "shapley")().attribute(inspection.fusion, judged, scene)
    shares = np.nan_to_num(shares["attribution_map"].values)
    found = {
        "shapley, positive shares": np.maximum(shares, 0).sum(0),
        "largest share": shares.max(0),
        "anomaly_map": np.nan_to_num(judged["anomaly_map"].values),
    }
    near = maximum_filter(defect, GROWN)
    told = {}
    for name, pixels in found.items():
        peak = np.unravel_index(int(pixels.argmax()), pixels.shape)
        told[name] = [float(roc_auc_score(defect.ravel(), pixels.ravel())), bool(near[peak])]
    return told


def place_table(lines: list[dict]) -> None:
    rows = [line["place"] for line in lines if "place" in line and line["verdict"] == "defect"]
    if rows:
        print(f"\n{len(rows)} parts called defective: pixel AUROC, peak on the defect")
        for name in rows[0]:
            mean = np.mean([row[name] for row in rows], axis=0)
            print(f"  {name:26} {mean[0]:.3f}  {mean[1]:.2f}")


# ---------------------------------------------------------------- maps


def maps_of(inspection: Inspection, scene: xr.Dataset, rng: np.random.Generator) -> dict:
    """Maps (sensor, y, x) of the registered sensors by method; NaN is 0."""
    judged = inspection.predict(scene)
    names = judged["sensor"].values[judged["grid"].values == judged.attrs["reference"]]
    found = {}
    for method in ("shapley", "channels", "occlusion"):
        told = load("explain", method)().attribute(inspection.fusion, judged, scene)
        found[method] = np.nan_to_num(told["attribution_map"].sel(sensor=names).values)
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


def map_table(lines: list[dict]) -> None:
    rows = [line["maps"] for line in lines if "maps" in line]
    if not rows:
        return
    print(f"\n{len(rows)} defective parts\n")
    print("| map | pixel AUROC | peak on the defect | deletion (low is faithful) | "
          "insertion (high is faithful) |\n|---|---|---|---|---|")  # fmt: skip
    for method in [name for name in rows[0] if name != "randomised"]:
        mean = {key: np.mean([row[method][key] for row in rows]) for key in rows[0][method]}
        print(f"| {method} | {mean['auroc']:.3f} | {mean['hit']:.2f} | {mean['deletion']:.3f} | "
              f"{mean['insertion']:.3f} |")  # fmt: skip
    odd = [row["randomised"] for row in rows]
    same, auroc = (np.mean([row[key] for row in odd]) for key in ("spearman", "auroc"))
    print(f"\nbanks shuffled: Spearman with the true map {same:.3f}, pixel AUROC {auroc:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("category")
    parser.add_argument("--fit", type=int, default=60)
    parser.add_argument("--calibrate", type=int, default=60)
    parser.add_argument("--most", type=int, default=300, help="Test captures.")
    parser.add_argument("--maps", type=int, default=10, help="Of them, with maps measured.")
    parser.add_argument("--lines", type=Path, default=Path("faithfulness.jsonl"))
    parser.add_argument("--model", type=Path, default=Path("faithfulness-model"))
    parser.add_argument("--kept", type=Path, help="A seed's folder of fusion.py's WORK.")
    given = parser.parse_args()
    dataset = Dataset(str(given.folder / "card.toml"), given.folder)
    truth = json.loads((given.folder / "truth.json").read_text())["captures"]
    if given.kept:
        lines = of_kept(dataset, given.category, given.kept, truth, given.maps)
        sensor_table(lines)
        place_table(lines)
        return
    inspection = fitted(dataset, given.category, given.fit, given.calibrate, given.model)
    good = median_part(dataset, given.category)
    test = dataset.captures(given.category, "test")
    order_ = np.random.default_rng(0).permutation(len(test))[: given.most]
    known = [json.loads(line) for line in given.lines.read_text().splitlines()] if (
        given.lines.exists()) else []  # fmt: skip
    done = {line["capture"] for line in known}
    with given.lines.open("a") as out:
        for index in order_:
            capture = test[index]
            if capture.id in done:
                continue
            scene = dataset.scene(capture)
            line = {"capture": capture.id, **of_sensors(inspection, scene, truth[capture.id])}
            wanted = sum("maps" in one for one in known) < given.maps
            if wanted and line["verdict"] == "defect" and line["seen"] and "defect" in scene:
                line["maps"] = of_maps(inspection, scene, good, int(index))
            known.append(line)
            out.write(json.dumps(line) + "\n")
            out.flush()
    sensor_table(known)
    map_table(known)


if __name__ == "__main__":
    main()
