"""How long the viewer takes to open in headless Chromium: a noisy capture of 800 × 800 px.

    python benchmarks/viewer_opens.py --out page.html

The page is that of `tests/shown.py`, four sensors, the one whose bytes the tests bound. Told is,
for every opening, the page's own clock from the navigation's start until what is seen at first is
there (frames, evidence, verdict, tables) and until everything is (attribution, points in 3D), the
processor time that all of Chromium's processes took until then, and the machine's load. Each
opening is a new browser with an empty profile, so that nothing is compiled or cached beforehand.
Chromium finds out itself how it draws: flags that force WebGL through software slow all else down.
"""

import argparse
import os
import shutil
import statistics
import sys
import time
from pathlib import Path

from selenium import webdriver

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from shown import packed, scene_of

from mmdefect.viewer import page_of

FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1500,950")


def driver() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for flag in FLAGS:
        options.add_argument(flag)
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


def processor_seconds() -> float:
    """Processor time of all processes of Chromium."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = path.read_text().rsplit(")", 1)
        except OSError:
            continue
        total += sum(map(int, rest.split()[11:13])) if "chromium" in name else 0
    return total / os.sysconf("SC_CLK_TCK")


def opened(page: Path) -> tuple[float, float, float, float]:
    browser = driver()
    try:
        browser.get("about:blank")
        time.sleep(1)
        before, load = processor_seconds(), os.getloadavg()[0]
        browser.get(page.as_uri())
        while not browser.execute_script("return document.documentElement.dataset.whole"):
            time.sleep(0.02)
        taken = processor_seconds() - before
        told = browser.execute_script(
            "const {ready, whole} = document.documentElement.dataset; return [ready, whole]"
        )
        return int(told[0]) / 1000, int(told[1]) / 1000, taken, load
    finally:
        browser.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("page.html"))
    parser.add_argument("--openings", type=int, default=5)
    given = parser.parse_args()
    given.out.write_text("".join(page_of([packed(scene_of(800, 800))], "plates")))
    print(f"{given.out.stat().st_size / 1e6:.2f} MB, {os.cpu_count()} processors")
    told = [opened(given.out.absolute()) for _ in range(given.openings)]
    for first, whole, taken, load in told:
        print(f"first {first:.2f} s, all {whole:.2f} s, processor {taken:.2f} s, load {load:.1f}")
    first, whole, taken, _ = (statistics.median(column) for column in zip(*told, strict=True))
    print(f"median: first {first:.2f} s, all {whole:.2f} s, processor {taken:.2f} s")


if __name__ == "__main__":
    main()
