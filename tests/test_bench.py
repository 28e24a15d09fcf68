"""The bench: rows name their cases, ways take turns, the page tells what was missed."""

import importlib
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "benchmarks"
ROWS = sorted(path.stem for path in (BENCH / "rows").glob("[!_]*.py"))


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    yield importlib.import_module("bench")
    for name in [
        n for n in sys.modules if n.partition(".")[0] in ("bench", "case", "page", "rows")
    ]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_names_its_cases_also_the_quick_ones(bench, name):
    row = importlib.import_module(f"rows.{name}")
    assert row.TITLE
    assert row.__doc__
    assert row.cases(True).keys()
    assert len(row.cases(False)) >= len(row.cases(True)) >= 1


def test_ways_take_turns_and_checks_are_held(bench):
    from case import Case, Check

    order = []
    case = Case(
        ours=lambda: order.append("ours"),
        rivals={"rival": lambda: order.append("rival")},
        checks=lambda: (
            Check("large", 3.0, most=2),
            Check("any", 1.0),
            Check("fits", 1.0, least=1),
        ),
        rounds=2,
    )
    told = bench.timed(case, with_checks=True)
    assert order == ["ours", "rival"] * 3
    assert [kept for *_, kept in told["checks"]] == [False, None, True]
    assert len(told["ratios"]["rival"]["processor"]) == 3
    assert bench.timed(case, with_checks=False)["checks"] == []


def test_the_page_says_what_was_missed(bench):
    import page

    timed = {"seconds": {"ours": [0.5, 0.25], "rival": [2.0, 1.0]}, "load": 1.0,
             "ratios": {"rival": {"clock": [4.0, 3.5, 4.5], "processor": [4.0, 4.0, 4.0]}},
             "checks": [["apart by", 0.1, None, 0.05, False]]}  # fmt: skip
    case = {"rivals": ["rival"], "targets": {"rival": 5.0}, "limit": 0.4, "timed": {"1": timed},
            "bytes": {"ours": 3 << 20, "rival": 1 << 30}, "scale": {"rival": 2.0}}  # fmt: skip
    machine = {"processor": "some", "cores": 2, "python": "3", "versions": {}, "date": "today"}
    row = {"title": "A path", "told": "Why.", "machine": machine,
           "cases": {"small": case, "large": {"missing": "no rival"}}}  # fmt: skip
    text = page.section("path", row)
    assert (
        "| small | 1 | 1.0 | ours | 500 ms | 250 ms |  |  | 3 MB | ≤ 400 ms: **missed** |" in text
    )
    assert "| rival | 2.00 s | 1.00 s | 4 | 4 (3.5–4.5) | 1024 MB | ≥ 5×: **missed** |" in text
    assert "- small: apart by 0.1 (asked ≤ 0.05: **missed**)" in text
    assert "large | | | | left out: no rival" in text
