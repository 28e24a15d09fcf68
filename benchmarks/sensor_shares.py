r"""Which sensor a verdict is ascribed to, held against which sensors can see what was planted.

    mmdefect simulate FOLDER --train 288 --test 750 --size 192 --seed 6006
    python benchmarks/fusion.py ... --work WORK        # or let this fit its own
    python benchmarks/sensor_shares.py FOLDER panel --kept WORK/panel/seed0 --lines panel.jsonl
    python benchmarks/sensor_shares.py --tell panel.jsonl board.jsonl bracket.jsonl

The simulator writes down every defect's contrast-to-noise ratio in every sensor, and calls it
*seen* from 3, *unseen* below 0.5, else *marginal*. It is a ratio of pixels: a dent of 1.5 over a
hundred pixels is no secret to a detector that looks at patches. So two tables are told apart:

* **in one sensor only**: seen by one, unseen by all others. Its share should be the largest.
* **and marginal elsewhere**: seen by one, marginal to another at least. There it is also told how
  often a sensor other than that one, by its own score alone, would have called the part defective:
  then more than one sensor did see it.

In those that several see, the order of shares is held against the order of contrasts: Spearman
over the sensors, and the share of pairs (one sees it, one does not) in which the one that sees it
has the larger share. How the order of the detectors' own evidence agrees with both is told too:
where evidence does not follow contrast, no share of it can. Shares are those of the part's score,
and those of the region on the defect (the mean over its core, as an explanation tells them). What
was not called defective is *missed*.

With `--kept` the same detectors' words are used that `fusion.py` kept, and no frame is read; else
`--fit` good parts are learnt and `--calibrate` others calibrate. With `--more N` the first N good
test parts calibrate as well and are not asked. `--single` looks only at defects that one sensor
sees. Lines of captures that are there are not computed again.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr
from faithfulness import lines_of
from scipy.ndimage import maximum_filter
from scipy.stats import spearmanr

from mmdefect import Dataset, Inspection, load
from mmdefect.captures import Capture
from mmdefect.division import divide
from mmdefect.explain._explained import shares_of
from mmdefect.explain._measures import cores_of
from mmdefect.frames import read_mask
from mmdefect.judging import Judge, regions_with_pixels

FALSE_ALARM = 0.05
GROWN = 2 * 4 + 1


# ---------------------------------------------------------------- one capture


def of_capture(inspection: Inspection, scene: xr.Dataset, capture: Capture, truth: Mapping) -> dict:
    judged = inspection.predict(scene)
    shares = load("explain", "shapley")().attribute(inspection.fusion, judged, scene)
    names = judged["sensor"].values.tolist()
    line = {
        "capture": capture.id,
        "kind": truth["kind"],
        "verdict": judged.attrs["verdict"],
        "p_value": float(judged["p_value"]),
        "part": dict(zip(names, shares["attribution"].values.tolist(), strict=True)),
        "evidence": dict(zip(names, judged["evidence"].values.tolist(), strict=True)),
        "alone": [n for n in names if judged["sensor_verdict"].sel(sensor=n).item() == "defect"],
    }
    if truth["kind"] == "good":
        return line
    line |= {"visibility": truth["visibility"], "contrast": truth["contrast_to_noise"]}
    if line["verdict"] == "defect" and capture.mask is not None:
        line["region"] = of_region(inspection, scene, judged, shares, read_mask(capture.mask))
    return line


def of_region(inspection, scene, judged, shares, defect: np.ndarray) -> dict | None:
    """The shares of the strongest region on the defect; None where no region lies on it."""
    judge = Judge(inspection.calibration_, inspection.peaks_, inspection.false_alarm)
    places = inspection.zones.places(scene)
    areas = dict.fromkeys([place.grid for place in places])
    near = maximum_filter(defect, GROWN)
    for _, pixels in regions_with_pixels(judge, judged, places, areas):
        if (pixels & near).any():
            return shares_of(shares, cores_of(judged["anomaly_map"].values, [pixels])[0])
    return None


# ---------------------------------------------------------------- whose words


def unread(capture: Capture, sensors: tuple[str, ...], size: tuple[int, int]) -> xr.Dataset:
    """A scene without frames: what was said of it is found by its name."""
    return xr.Dataset(
        {"valid": (("sensor", "y", "x"), np.ones((len(sensors), *size), dtype=bool))},
        coords={
            "sensor": list(sensors),
            "grid": ("sensor", [sensors[0]] * len(sensors)),
            "y": np.arange(float(size[0])),
            "x": np.arange(float(size[1])),
        },
        attrs={"capture": capture.id, "reference": sensors[0]},
    )


def kept_words(
    dataset: Dataset, category: str, kept: Path, more: int = 0
) -> tuple[Inspection, Iterator]:
    """What `fusion.py` kept of a seed: the inspection, and the test captures it has seen."""
    from fusion_scores import kept_late

    sensors, size = tuple(dataset.sensors(category)), dataset.grid_size(category)
    seed = int(kept.name.removeprefix("seed"))
    states = {name: json.loads((kept / name / "state.json").read_text()) for name in sensors}
    fusion = kept_late(kept, {name: told["features"] for name, told in states.items()}, seed)
    train = [c for c in dataset.captures(category) if c.split == "train"][seed::3]
    sides = divide(train, [], FALSE_ALARM, seed)

    def there(capture: Capture) -> bool:
        name = sha256(f"{capture.id} without None".encode()).hexdigest()[:24]
        return all((kept / sensor / f"{name}.npz").exists() for sensor in sensors)

    test = [c for c in dataset.captures(category, "test") if there(c)]
    others = [c for c in test if c.label == "good"][:more]
    inspection = Inspection(fusion, FALSE_ALARM).fit(
        *([unread(c, sensors, size) for c in side] for side in (sides[0], [*sides[1], *others]))
    )
    asked = [c for c in test if c not in others]
    return inspection, ((c, lambda c=c: unread(c, sensors, size)) for c in asked)


def own_words(dataset: Dataset, given: argparse.Namespace) -> tuple[Inspection, Iterator]:
    test = dataset.captures(given.category, "test")
    scenes = ((c, lambda c=c: dataset.scene(c)) for c in test)
    if given.model and given.model.exists():
        return Inspection.load(given.model), scenes
    good = dataset.captures(given.category, "train")
    learnt, held = good[: given.fit], good[given.fit : given.fit + given.calibrate]
    features = dict.fromkeys(dataset.sensors(given.category), given.features)
    inspection = Inspection(load("fusion", "late")(features=features), FALSE_ALARM)
    inspection.fit(dataset.scenes(learnt), dataset.scenes(held))
    if given.model:
        inspection.save(given.model)
    return inspection, scenes


def measure(given: argparse.Namespace) -> None:
    dataset = Dataset(str(given.folder / "card.toml"), given.folder)
    truth = json.loads((given.folder / "truth.json").read_text())["captures"]
    done = {line["capture"] for line in lines_of(given.lines)}
    inspection, test = (
        kept_words(dataset, given.category, given.kept, given.more)
        if given.kept
        else own_words(dataset, given)
    )
    with given.lines.open("a") as out:
        for capture, scene_of in test:
            told = truth[capture.id]
            wanted = not given.single or len(seeing(told["visibility"], "seen")) == 1
            if capture.id not in done and wanted:
                line = of_capture(inspection, scene_of(), capture, told)
                out.write(json.dumps(line) + "\n")
                out.flush()


# ---------------------------------------------------------------- tables


def seeing(visibility: Mapping[str, str], word: str) -> list[str]:
    return [name for name, told in visibility.items() if told == word]


def top(shares: Mapping[str, float] | None) -> str:
    return max(shares, key=lambda name: shares[name]) if shares else ""


def right(lines: list[dict], whose: str) -> int:
    return sum(top(line.get(whose)) == seeing(line["visibility"], "seen")[0] for line in lines)


def table(title: str, lines: list[dict], marginal: bool) -> None:
    heads = [title, "parts", "called defective", "missed", "largest share of the part's score",
             "of the region"]  # fmt: skip
    heads += ["another sensor alone calls it defective"] if marginal else []
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    one = [line for line in lines if len(seeing(line["visibility"], "seen")) == 1]
    own = [line for line in one if bool(seeing(line["visibility"], "marginal")) == marginal]
    for sensor in ["", *sorted({seeing(line["visibility"], "seen")[0] for line in own})]:
        mine = [line for line in own if sensor in ("", *seeing(line["visibility"], "seen"))]
        told = [line for line in mine if line["verdict"] == "defect"]
        cells = [len(mine), len(told), len(mine) - len(told)]
        cells += [of_all(right(told, whose), len(told)) for whose in ("part", "region")]
        if marginal:
            cells.append(sum(bool({*line["alone"]} - {*seeing(line["visibility"], "seen")})
                             for line in told))  # fmt: skip
        print(f"| {sensor or 'all'} | {' | '.join(map(str, cells))} |")


def of_all(count: int, parts: int) -> str:
    return f"{count} ({100 * count / parts:.0f} %)" if parts else "–"


def order_table(lines: list[dict]) -> None:
    told = [line for line in lines if len(seeing(line["visibility"], "seen")) > 1]
    found = [line for line in told if line["verdict"] == "defect"]
    print(f"\nseen by several: {len(told)}, called defective {len(found)}")
    for whose in ("part", "region"):
        own = [line for line in found if line.get(whose)]
        if not own:
            continue
        pairs = [line[whose].get(one, 0.0) > line[whose].get(other, 0.0)
                 for line in own for one, other in seen_and_unseen(line["visibility"])]  # fmt: skip
        print(f"  shares of the {whose} and contrast: {agreement(own, whose, 'contrast')}; the "
              "one that sees it above the one that does not in "
              f"{sum(pairs)} of {len(pairs)} pairs")  # fmt: skip
        with_evidence = [line for line in own if "evidence" in line]
        if with_evidence:
            print(f"  shares of the {whose} and the detectors' evidence: "
                  f"{agreement(with_evidence, whose, 'evidence')}")  # fmt: skip
    own = [line for line in found if "evidence" in line]
    if own:
        print(f"  the detectors' evidence and contrast: {agreement(own, 'evidence', 'contrast')}")
    for kind in sorted({line["kind"] for line in own}):
        same = [line for line in own if line["kind"] == kind]
        cells = [f"{name} {median(same, 'contrast', name):.1f} / "
                 f"{median(same, 'evidence', name):.1f}"
                 for name in same[0]["contrast"]]  # fmt: skip
        print(f"    {len(same)} {kind}, median contrast / evidence: {', '.join(cells)}")


def median(lines: list[dict], what: str, name: str) -> float:
    return float(np.median([line[what][name] for line in lines]))


def seen_and_unseen(visibility: Mapping[str, str]) -> list[tuple[str, str]]:
    return list(product(seeing(visibility, "seen"), seeing(visibility, "unseen")))


def agreement(lines: list[dict], one: str, other: str) -> str:
    """Rank correlation over the sensors of a part, averaged over parts."""
    ranks = np.array([
        spearmanr(*([line[side].get(name, 0.0) for name in line["contrast"]]
                    for side in (one, other)))[0] for line in lines
    ])  # fmt: skip
    return f"Spearman {np.mean(ranks):.2f}, above 0 in {np.mean(ranks > 0):.2f}"


def tell(lines: list[dict]) -> None:
    good = [line for line in lines if line["kind"] == "good"]
    odd = sum(line["verdict"] == "defect" for line in good)
    defects = [line for line in lines if line["kind"] != "good"]
    print(f"{len(lines)} captures; good parts called defective: {odd} of {len(good)}")
    table("in one sensor only", defects, marginal=False)
    table("and marginal elsewhere", defects, marginal=True)
    order_table(defects)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("category", nargs="?")
    parser.add_argument("--fit", type=int, default=60)
    parser.add_argument("--calibrate", type=int, default=60)
    parser.add_argument("--features", default="builtin", help="Of all sensors.")
    parser.add_argument("--single", action="store_true", help="Only what one sensor sees.")
    parser.add_argument("--kept", type=Path, help="A seed's folder of fusion.py's WORK.")
    parser.add_argument("--more", type=int, default=0, help="Good test parts that calibrate.")
    parser.add_argument("--model", type=Path, help="A model, made where it is not there.")
    parser.add_argument("--lines", type=Path, default=Path("sensor-shares.jsonl"))
    parser.add_argument("--tell", type=Path, nargs="*", help="Only the tables of these LINES.")
    given = parser.parse_args()
    if given.folder:
        measure(given)
    tell([line for path in given.tell or [given.lines] for line in lines_of(path)])


if __name__ == "__main__":
    main()
