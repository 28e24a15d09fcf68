"""Draw the pictures of docs/simulator.md and measure its visibility table.

``python docs/simulator_page.py`` renders twins of every kind of defect of every product, writes
docs/pictures/simulator/*.jpg, and puts the table between the page's two marks. Nothing in it is
written by hand.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mmdefect.report.colors import COLOR_MAPS
from mmdefect.simulate import PRODUCTS, SENSORS, Capture, Specimen, render_capture, visibility

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "pictures" / "simulator"
BEGIN, END = "<!-- visibility: begin -->", "<!-- visibility: end -->"
TILE, CROP, MARGIN = 320, 168, 4
INK, PAPER, HOLE = (40, 40, 40), (255, 255, 255), (150, 30, 60)


def colored(values: np.ndarray, name: str, low: float, high: float) -> np.ndarray:
    """Give numbers (y, x) the colours of a map; holes are dark red."""
    colors = COLOR_MAPS[name]
    share = np.nan_to_num((values - low) / max(high - low, 1e-9)).clip(0, 1)
    drawn = colors[np.round(share * (len(colors) - 1)).astype(int)]
    return np.where(np.isnan(values)[..., None], np.uint8(HOLE), drawn)


def relief(depth: np.ndarray) -> np.ndarray:
    """Draw depths (y, x) by their slope, so that tenths of a mm show; holes are dark red."""
    down, right = np.gradient(depth)
    slope = down - np.nanmedian(down) + right - np.nanmedian(right)
    light = np.clip(0.6 - slope * 1.6, 0.15, 1)
    drawn = 255 * np.nan_to_num(light, nan=0.4)[..., None] * np.array([0.80, 0.95, 0.92])
    drawn[np.isnan(depth)] = HOLE
    return drawn.astype(np.uint8)


def numbers(capture: Capture) -> dict[str, np.ndarray]:
    """Give every sensor's own frame as numbers: counts, depth, kelvin, -log of transmission."""
    frames = capture.frames
    counts = frames["xray"].astype(np.float64)
    share = (counts - counts.min()) / np.percentile(counts, 99.5)
    return {
        "rgb": frames["rgb"] / 65535,
        "points": frames["points"][..., 2].astype(np.float64),
        "infrared": frames["infrared"],
        "xray": -np.log(np.clip(share, 5e-3, None)),
    }


def picture(sensor: str, values: np.ndarray) -> np.ndarray:
    """Draw numbers; the colours span what is there."""
    if sensor == "rgb":
        return (255 * np.nan_to_num(values)).astype(np.uint8)
    if sensor == "points":
        return relief(values)
    if sensor == "infrared":
        return colored(values, "temperature", *np.nanpercentile(values, [1, 99.5]))
    return colored(-values, "transmission", *-np.nanpercentile(values, [99.5, 0.5]))


def tile(drawn: np.ndarray, side: int) -> Image.Image:
    """Bring a picture to a tile's size."""
    return Image.fromarray(drawn).resize((side, side), Image.Resampling.BICUBIC)


def label(sheet: Image.Image, place: tuple[int, int], text: str) -> None:
    """Write a word on a sheet."""
    ImageDraw.Draw(sheet).text(place, text, fill=INK, font_size=15)


def draw_good(product: str) -> None:
    """Draw a good part as its four sensors see it."""
    shown = numbers(render_capture(product, index=1, size=384))
    sheet = Image.new("RGB", (4 * (TILE + MARGIN), TILE + 24), PAPER)
    for place, (sensor, values) in enumerate(shown.items()):
        label(sheet, (place * (TILE + MARGIN) + 4, 2), sensor)
        sheet.paste(tile(picture(sensor, values), TILE), (place * (TILE + MARGIN), 24))
    sheet.save(PICTURES / f"{product}.jpg", quality=88)


def draw_kinds(product: str) -> None:
    """Draw every kind of defect: a crop of each sensor's frame around it."""
    kinds = [kind for kind, what in PRODUCTS[product].kinds.items() if what.group != "null"]
    left = 150
    sheet = Image.new("RGB", (left + 4 * (CROP + MARGIN), 24 + len(kinds) * (CROP + MARGIN)), PAPER)
    for place, sensor in enumerate(SENSORS):
        label(sheet, (left + place * (CROP + MARGIN) + 4, 2), sensor)
    specimen = Specimen(product, index=2, size=384)
    for row, kind in enumerate(kinds):
        capture = specimen.capture(kind)
        top = 24 + row * (CROP + MARGIN)
        label(sheet, (4, top + CROP // 2 - 16), kind.replace("_", " "))
        for place, (sensor, values) in enumerate(numbers(capture).items()):
            crop = picture(sensor, around(values, capture, sensor))
            sheet.paste(tile(crop, CROP), (left + place * (CROP + MARGIN), top))
    sheet.save(PICTURES / f"{product}-kinds.jpg", quality=88)


def around(values: np.ndarray, capture: Capture, sensor: str) -> np.ndarray:
    """Cut a square out around the defect's place in one sensor's frame."""
    rig = capture.rig
    rows, columns = np.nonzero(capture.mask)
    ray = rig.cameras["rgb"].directions(np.array([[columns.mean(), rows.mean()]]))[0]
    middle = rig.cameras[sensor].project(ray / ray[2] * 450.0)
    height, width = values.shape[:2]
    reach = max(np.ptp(rows), np.ptp(columns)) / capture.mask.shape[0]
    side = int(height * min(1.0, max(0.24, 1.5 * reach)))
    x = int(np.clip(middle[0] - side / 2, 0, width - side))
    y = int(np.clip(middle[1] - side / 2, 0, height - side))
    return values[y : y + side, x : x + side]


def measured(job: tuple[str, str, int]) -> dict[str, float]:
    """Measure every sensor's contrast of one defect."""
    product, kind, index = job
    return render_capture(product, kind, seed=11, index=index, size=256).contrast


def rows(parts: int) -> Iterator[list[str]]:
    """Measure the rows of the table, two processes at a time."""
    with ProcessPoolExecutor(2) as pool:
        for name, product in PRODUCTS.items():
            for kind, what in product.kinds.items():
                found = list(pool.map(measured, [(name, kind, i) for i in range(parts)]))
                yield [name, kind, what.group, *(cell([f[s] for f in found]) for s in SENSORS)]


def cell(contrasts: list[float]) -> str:
    """Put the contrasts of one kind in one sensor into a cell."""
    words = [visibility(contrast) for contrast in contrasts]
    seen, unseen = (words.count(word) / len(words) for word in ("seen", "unseen"))
    median = float(np.median(contrasts))
    text = f"{median:.2g}" if median < 10 else f"{median:.0f}"
    if seen == 1:
        return f"**{text}**"
    return f"{text}" if unseen == 1 else f"{text} ({seen:.0%} seen, {unseen:.0%} unseen)"


def write_table(parts: int) -> None:
    """Put the table between the page's marks."""
    head = ["product", "kind", "class", *SENSORS]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows(parts):
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    page = HERE / "simulator.md"
    text = page.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Draw and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=12, help="twins a kind for the table")
    parser.add_argument("--only", choices=("pictures", "table"))
    chosen: Any = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    if chosen.only != "table":
        for product in PRODUCTS:
            draw_good(product)
            draw_kinds(product)
    if chosen.only != "pictures":
        write_table(chosen.parts)


if __name__ == "__main__":
    main()
