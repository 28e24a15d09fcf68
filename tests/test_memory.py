"""Memory is bounded whatever the number of captures, measured in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmdefect.cards import read_card
from mmdefect.miniature import write_miniature

MEGABYTE = 1 << 20
CARD = """
name = "plates"
good = "good"
[frames]
rgb = "{split}/{kind}/rgb/{capture}.png"
mask = "{split}/{kind}/mask/{capture}.png"
[sensors.rgb]
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/status").exists(), reason="memory is measured where /proc tells it"
    ),
]


def printed(code: str, *arguments: object) -> list[int]:
    """Run code in a fresh interpreter and give the numbers it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


EVALUATE = """
import sys
from mmdefect.evaluate import Settings, evaluate
from mmdefect.results import peak_bytes
card, root, out, bank_bytes = sys.argv[1:]
settings = Settings(features={"rgb": "builtin"}, bank_bytes=int(bank_bytes))
evaluate(card, root, out, settings=settings)
print(peak_bytes())
"""


def test_an_evaluation_of_four_times_as_many_captures_takes_no_more_memory(tmp_path):
    card = tmp_path / "plates.toml"
    card.write_text(CARD)
    peaks = {}
    for captures in (40, 160):
        root, out = tmp_path / str(captures), tmp_path / f"out-{captures}"
        write_miniature(read_card(card), root, train=captures // 2, test=captures // 2, side=64)
        (peaks[captures],) = printed(EVALUATE, card, root, out, 2 * MEGABYTE)
        results = json.loads((out / "results.json").read_text())
        assert len(results["captures"]) == captures // 2
        assert 0 < max(row["peak_bytes"] for row in results["rows"]) <= peaks[captures]
    assert peaks[160] - peaks[40] < 40 * MEGABYTE


SPILL = """
import sys
from pathlib import Path
import numpy as np
from mmdefect.results import peak_bytes
from mmdefect.spill import MapSpill
folder, captures = Path(sys.argv[1]), int(sys.argv[2])
before = peak_bytes()
spill = MapSpill(folder, captures, ("rgb", "fused"), (512, 512))
for index in range(captures):
    spill.put(index, np.full((2, 512, 512), index, np.float32), np.zeros((512, 512), bool))
total = sum(int(score_map[0, 0]) for score_map, _ in spill.view("fused", range(captures)))
print(peak_bytes() - before, total)
"""


def test_maps_on_disk_do_not_count_as_memory(tmp_path):
    grown, total = printed(SPILL, tmp_path, 100)
    assert total == sum(range(100))
    assert (tmp_path / "maps.npy").stat().st_size > 200 * MEGABYTE
    assert grown < 50 * MEGABYTE


PEAKS = """
import numpy as np
from mmdefect.results import peak_bytes
print(peak_bytes())
held = np.ones(50_000_000)
print(peak_bytes())
"""


def test_the_peak_of_a_process_is_its_own_and_not_its_parents():
    held = np.ones(600 * MEGABYTE // 8)
    before, after = printed(PEAKS)
    assert 10 * MEGABYTE < before < held.nbytes
    assert after > before + 300 * MEGABYTE
