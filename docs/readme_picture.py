"""Draw the README's picture: one capture of the demo, registered, with its evidence.

``make demo && python docs/readme_picture.py`` fits on the demo's panels and draws one that is hit:
the four frames on the reference's grid, the fused evidence, the true extent outlined.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from simulator_page import colored, label, picture

from mmdefect import Dataset, Inspection, load

HERE = Path(__file__).resolve().parent
KIND, TILE, MARGIN = "impact", 250, 4


def outlined(drawn: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw a line around a mask."""
    grown = mask.copy()
    for axis in (0, 1):
        grown |= np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
    return np.where((grown & ~mask)[..., None], np.uint8((0, 229, 255)), drawn)


def main() -> None:
    """Fit, judge, draw."""
    parts = Dataset("demo/captures/card.toml", "demo/captures")
    train, test = parts.captures("panel", "train"), parts.captures("panel", "test")
    inspection = Inspection(load("fusion", "late")(), false_alarm=0.05)
    inspection.fit(parts.scenes(train[:40]), calibration=parts.scenes(train[40:]))
    scene = parts.scene(next(capture for capture in test if capture.kind == KIND))
    found = inspection.predict(scene)
    values = {
        "rgb": np.moveaxis(scene["rgb"].values, 0, -1),
        "points": scene["points"].values[2].astype(np.float64),
        "infrared": scene["infrared"].values,
        "xray": -np.log(np.clip(scene["xray"].values[0], 5e-3, None)),
    }
    tiles = {name: picture(name, shown) for name, shown in values.items()}
    evidence = found["anomaly_map"].values
    tiles[f"evidence: {found.verdict}"] = colored(evidence, "score", 0, np.nanmax(evidence))
    sheet = Image.new("RGB", (len(tiles) * (TILE + MARGIN), TILE + 24), (255, 255, 255))
    mask = scene["defect"].values
    for place, (name, drawn) in enumerate(tiles.items()):
        label(sheet, (place * (TILE + MARGIN) + 4, 2), name)
        shown = Image.fromarray(outlined(drawn, mask)).resize(
            (TILE, TILE), Image.Resampling.BICUBIC
        )
        sheet.paste(shown, (place * (TILE + MARGIN), 24))
    sheet.save(HERE / "pictures" / "demo-capture.png", optimize=True)
    print(f"{scene.capture}: {found.verdict}, p = {found.p_value:.3f}")


if __name__ == "__main__":
    main()
