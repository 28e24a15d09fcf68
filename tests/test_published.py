"""Published numbers: as data beside the cards, and beside ours in the report."""

from pathlib import Path

import numpy as np
import pytest

from mmdefect.cards import card_folder, card_names, read_card
from mmdefect.evaluate import Settings, evaluate
from mmdefect.metrics import METRICS
from mmdefect.miniature import write_miniature
from mmdefect.published import Published, beside_ours, read_published

FILES = sorted(card_folder().glob("*.published.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_file_lies_beside_a_card_and_speaks_its_language(path: Path) -> None:
    name = path.name.removesuffix(".published.toml")
    card, rows = read_card(name), read_published(name)
    assert rows
    for row in rows:
        assert row.metric in METRICS
        assert row.source
        assert all(0 < value <= 1 for value in row.values.values())
        assert set(row.sensors) & (set(card.sensors) | {"points"})
    assert name in card_names()
    assert path.name not in card_names()


def test_the_means_are_those_of_their_categories_as_far_as_they_were_rounded() -> None:
    for row in read_published("mvtec3d"):
        values = dict(row.values)
        mean = values.pop("mean")
        if values:
            assert np.mean(list(values.values())) == pytest.approx(mean, abs=0.0016), row.method


def test_cited_and_third_party_rows_are_marked() -> None:
    rows = read_published("mvtec3d")
    assert {r.marks for r in rows if r.method == "CFM"} == {"mem"}
    assert {r.marks for r in rows if r.method.startswith("DINOv3")} == {"third party"}
    assert read_published("folder") == []


def row(category: str, sensor: str, auroc: float | None) -> dict:
    return {
        "category": category, "sensor": sensor, "image_auroc": auroc, "n_good": 5, "n_defect": 9
    }  # fmt: skip


def test_ours_stands_beside_the_same_sensors_only() -> None:
    camera = Published("A", ("rgb",), "image_auroc", "x", {"tire": 0.7, "mean": 0.8}, categories=2)
    both = Published("B", ("rgb", "points"), "image_auroc", "x", {"tire": 0.9})
    rows = [row("tire", "rgb", 0.84), row("tire", "fused", 0.83), row("rope", "rgb", 0.9)]
    found = beside_ours([camera, both], rows, {"tire": "a" * 64, "rope": "b" * 64})
    told = {(one["method"], one["category"]): one for one in found}
    assert told["A", "tire"]["ours"] == 0.84
    assert told["A", "tire"]["ours_parts"] == 14
    assert told["A", "tire"]["manifest"] == "a" * 12
    assert told["A", "mean"]["ours"] == pytest.approx(0.87)
    assert told["A", "mean"]["manifest"] == f"{'a' * 12} {'b' * 12}"
    assert told["B", "tire"]["ours"] is None  # ours fused rgb alone
    one_only = beside_ours([camera], rows[:2], {"tire": "a" * 64})
    assert [one["ours"] for one in one_only] == [0.84, None]  # a mean over other categories


def test_the_report_prints_them_with_their_marks(tmp_path: Path) -> None:
    root = tmp_path / "tire"
    write_miniature(read_card("mvtec3d"), tmp_path / "m", train=20, test=8)
    (tmp_path / "m" / "plate").rename(root)
    settings = Settings(features=dict.fromkeys(("rgb", "points"), "builtin"))
    results = evaluate("mvtec3d", root, tmp_path / "out", settings=settings)
    assert any(one["ours"] is not None for one in results["published"])
    markdown = (tmp_path / "out/results.md").read_text()
    page = (tmp_path / "out/report.html").read_text()
    for text in (markdown, page):
        assert "Published numbers beside ours" in text
        assert "third party" in text
        assert results["manifest"]["tire"][:12] in text
        assert "M3DM" in text
