"""What a sensor's voice weighs: a sensor that is there twice, and weights learnt from defects.

    python benchmarks/fusion.py captures --work kept --product panel
    python benchmarks/fusion_voices.py kept/panel

Reads the evidence that the first command kept. **Twice:** one sensor's evidence is there once
more, on the good parts that teach the correlation as well, as if a second camera showed the same;
beside the rule, what the plain norm makes of it. **Weights:** they are learnt as
``--learn-weights`` does, from the held-out good parts of the training set and from half of the
defective test parts, and measured on the other half and all good test parts, and the other way
round; ``let in`` counts those that the paired bound on the learning parts admits.
"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from paired_draws import replicated, wins

from mmdefect.fusion._rules import RULES, correlation_of, labelled
from mmdefect.fusion._weights import weights_of
from mmdefect.metrics import Estimate, difference

COPY = "copy"
TAUGHT = (10, 30, 0)  # defective parts that teach; 0: the whole half


class Held(NamedTuple):
    """Evidence of test captures (seed, capture, sensor); of held-out good parts, by seed."""

    sensors: list[str]
    test: np.ndarray
    good: list[np.ndarray]
    bad: np.ndarray
    kinds: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> "Held":
        """Read what ``fusion.py`` kept."""
        with np.load(folder / "evidence.npz") as held:
            good = [held[f"good{seed}"] for seed in range(len(held["test"]))]
            labels, kinds = held["labels"], held["kinds"]
            return cls(held["sensors"].tolist(), held["test"], good, labels == "defect", kinds)


def ruled(rows: np.ndarray, names: list[str], good: np.ndarray | None) -> np.ndarray:
    """Combine rows (part, sensor) by the default rule; independent sensors without ``good``."""
    together = labelled(None if good is None else correlation_of(good), names)
    evidence = xr.DataArray(rows.T, {"sensor": names}, ("sensor", "part"))
    return np.asarray(RULES["norm"](evidence, together).values)


def area(held: Held, scores: list[np.ndarray], wanted: np.ndarray) -> np.ndarray:
    """Mean over seeds of the AUROC and its replicates; ``wanted``: the defective parts."""
    return replicated(np.mean([wins(own[~held.bad], own[wanted]) for own in scores], axis=0))


def copies(held: Held) -> list[dict[str, Any]]:
    """Let every sensor be there twice."""
    names, rows = [*held.sensors, COPY], []
    once = [ruled(t, held.sensors, g) for t, g in zip(held.test, held.good, strict=True)]
    base = area(held, once, held.bad)
    for column, name in enumerate(held.sensors):
        taken = [*range(len(held.sensors)), column]
        pairs = [(t[:, taken], g[:, taken]) for t, g in zip(held.test, held.good, strict=True)]
        twice = area(held, [ruled(t, names, g) for t, g in pairs], held.bad)
        plain = area(held, [ruled(t, names, None) for t, _ in pairs], held.bad)
        rows.append({
            "sensor": name, "once": float(base[0]), "twice": float(twice[0]),
            "change": difference(twice - base), "plain": difference(plain - base),
        })  # fmt: skip
        print(f"| {name} | {base[0]:.4f} | {twice[0]:.4f} | {_told(rows[-1]['change'])} | "
              f"{_told(rows[-1]['plain'])} |", flush=True)  # fmt: skip
    return rows


def learnt(held: Held, taught: int) -> dict[str, Any]:
    """Learn weights from half of the defective parts, measure on the other."""
    place = np.cumsum(held.bad) % 2
    gains, used, let_in, weights = [], [], 0, []
    for half in (0, 1):
        teach, ask = held.bad & (place == half), held.bad & (place != half)
        some = np.flatnonzero(teach)
        if taught:
            some = np.random.default_rng(half).permutation(some)[:taught]
        by_rule, by_weights, by_choice = [], [], []
        for test, good in zip(held.test, held.good, strict=True):
            own = weights_of(held.sensors, good, test[some], RULES["norm"])
            evidence = xr.DataArray(test.T, {"sensor": held.sensors}, ("sensor", "part"))
            by_rule.append(ruled(test, held.sensors, good))
            by_weights.append(own.combined(evidence).values)
            by_choice.append(by_weights[-1] if own.better else by_rule[-1])
            let_in += own.better
            weights.append(own.weights)
        before = area(held, by_rule, ask)
        gains.append(area(held, by_weights, ask) - before)
        used.append(area(held, by_choice, ask) - before)
    row = {
        "taught": len(some), "let in": let_in, "of": len(weights),
        "weights": np.mean(weights, axis=0).round(2).tolist(),
        "gain": difference(np.mean(gains, axis=0)), "as used": difference(np.mean(used, axis=0)),
    }  # fmt: skip
    told = ", ".join(f"{n} {w}" for n, w in zip(held.sensors, row["weights"], strict=True))
    print(f"| {row['taught']} | {let_in}/{len(weights)} | {told} | {_told(row['gain'])} | "
          f"{_told(row['as used'])} |", flush=True)  # fmt: skip
    return row


def _told(one: Estimate) -> str:
    return f"{one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"


def main() -> None:
    """Print both tables, and keep them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kept", type=Path, help="WORK/PRODUCT of fusion.py")
    held = Held.read(parser.parse_args().kept)
    count = f"{len(held.test)} seeds, {(~held.bad).sum()} good and {held.bad.sum()} defective parts"
    print(f"{count}\n| there twice | AUROC | with the copy | change | by the plain norm |")
    print("|---|---|---|---|---|")
    twice = copies(held)
    print("\n| defective parts that taught | let in | weights | gain on others | gain as used |")
    print("|---|---|---|---|---|")
    weighed = [learnt(held, taught) for taught in TAUGHT]
    path = parser.parse_args().kept / "voices.json"
    path.write_text(json.dumps({"twice": twice, "weights": weighed}, indent=1))


if __name__ == "__main__":
    main()
