"""The report: what the page says and in which order, and what the tables hold."""

import re
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mmdefect.report import (
    capture_card,
    console_table,
    markdown_tables,
    mistake_rank,
    write_page,
)
from mmdefect.scene import new_scene

ORDER = ("missed", "false_alarm", "refer", "not_inspectable", "found", "passed")
VERDICT_OF = {
    "missed": ("defect", "good"),
    "false_alarm": ("good", "defect"),
    "refer": ("good", "refer"),
    "not_inspectable": ("good", "not_inspectable"),
    "found": ("defect", "defect"),
    "passed": ("good", "good"),
}


class Page(HTMLParser):
    """What a browser without JavaScript finds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.flow, self.texts, self._open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "article":
            self.flow.append("article")

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, text):
        if self._open[-1:] == ["h2"]:
            self.flow.append(text)
        if text.strip() and not {"style", "script"} & set(self._open):
            self.texts.append((self._open[-1] if self._open else "", text.strip()))

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def words(self, tag=None):
        return " ".join(text for name, text in self.texts if tag in (None, name))


def make_record(name="tire/test/hole/003", group="missed", **changes):
    label, verdict = VERDICT_OF[group]
    alone = {"present": True, "score": 1.25, "evidence": 3.5, "p_value": 0.0476}
    return {
        "capture": name, "category": "tire", "kind": "hole", "label": label, "verdict": verdict,
        "image_score": 7.21, "p_value": 0.25, "threshold": 9.5,
        "sensors": {"rgb": alone}, **changes,
    }  # fmt: skip


def card_of(record):
    """Picture a capture of one small camera."""
    frame = xr.DataArray(
        np.full((3, 8, 8), 0.5, dtype=np.float32),
        dims=("color", "y", "x"),
        coords={"color": ["red", "green", "blue"]},
        attrs={"modality": "rgb", "units": "1"},
    )
    scene = new_scene({"rgb": frame}, reference="rgb")
    evidence = np.ones((1, 8, 8), dtype=np.float32)
    prediction = xr.Dataset(
        {
            "evidence_map": (("sensor", "y", "x"), evidence),
            "anomaly_map": (("y", "x"), evidence[0]),
        },
        coords={"sensor": ["rgb"]},
    )
    return capture_card(scene, prediction, record)


def make_row(category="tire", sensor="fused", **changes):
    return {
        "category": category, "sensor": sensor, "n_good": 42, "n_defect": 16, "n_with_truth": 16,
        "image_auroc": 0.98123, "image_ap": 0.97, "pixel_auroc": None, "pixel_ap": None,
        "aupro_30": 0.931, "aupro_10": 0.8, "aupro_05": 0.7, "aupro_01": 0.4, "precision": 0.9,
        "recall": 0.875, "fpr": 2 / 42, "fnr": 0.125, "threshold": 3.2,
        "seconds_per_capture": 0.21, "peak_bytes": 2_300_000_000,
        "intervals": {"image_auroc": [0.94, 1.0]}, "grids": {}, **changes,
    }  # fmt: skip


def make_results(records=(), **changes):
    return {
        "schema": 1, "mmdefect": "0.1.0", "created": "2025-01-02T03:04:05+00:00",
        "card": {"name": "tyres", "title": "Tyres & rims", "licence": "CC0-1.0",
                 "source": "https://example.org"},
        "settings": {"fusion": "late", "sensors": [], "seed": 0}, "versions": {"torch": "2.2"},
        "seed": 0, "manifest": {"tire": "ab" * 32},
        "features": {"tire": {"rgb": "builtin", "scanner": "builtin"}}, "false_alarm": 0.05,
        "smallest_false_alarm": {"tire": 1 / 21},
        "splits": {"tire": {"fit": 44, "calibration": 20, "test": 58}},
        "rows": [make_row(sensor="rgb", image_auroc=0.9), make_row()],
        "rows_per_kind": [make_row(kind="hole", n_defect=4)],
        "captures": list(records), "refused": [], "notes": [], **changes,
    }  # fmt: skip


def write(tmp_path, records=(), fragments=None, **changes):
    path = tmp_path / "report.html"
    fragments = [card_of(record) for record in records] if fragments is None else fragments
    write_page(path, make_results(records, **changes), iter(fragments))
    return Page(path.read_text(encoding="utf-8"))


# ---- the page


def test_the_page_asks_nothing_of_the_network(tmp_path):
    page = write(tmp_path, [make_record()])
    policies = [one["content"] for one in page.all("meta") if "http-equiv" in one]
    assert policies == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    ]
    addresses = [one[key] for _, one in page.tags for key in ("src", "href") if key in one]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(", text)


def test_the_page_has_a_language_and_describes_every_picture(tmp_path):
    page = write(tmp_path, [make_record()])
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("img")) == 4
    assert all("tire/test/hole/003" in one["alt"] for one in page.all("img"))


def test_captures_stand_below_the_heading_of_their_group(tmp_path):
    groups = ["missed", "missed", "false_alarm", "refer", "not_inspectable", "found", "passed"]
    records = [make_record(f"tire/{number}", group) for number, group in enumerate(groups)]
    flow = write(tmp_path, records).flow
    assert flow[flow.index("Captures") + 1 : flow.index("Made with")] == [
        "Missed defects (2)", "article", "article", "False alarms (1)", "article",
        "Referred to a person (1)", "article", "Not inspectable (1)", "article",
        "Defects found (1)", "article", "Good parts passed (1)", "article",
    ]  # fmt: skip


def test_a_group_that_is_not_pictured_in_full_says_so(tmp_path):
    records = [make_record(str(number)) for number in range(3)]
    records.append(make_record("3", "passed"))
    page = write(tmp_path, records, fragments=[card_of(records[0])])
    assert page.flow.count("article") == 1
    assert "1 of 3 are pictured." in page.words()
    assert "Good parts passed (1)" in page.flow
    targets = {one["href"].removeprefix("#") for one in page.all("a")}
    assert targets == {"missed", "passed"}
    assert targets <= {one.get("id") for one in page.all("section")}


def test_a_hostile_capture_name_is_shown_and_not_obeyed(tmp_path):
    name = "\"><script>alert('x')</script><img src=http://evil onerror=x>&amp;\udcff"
    record = make_record(name, category="<b>", kind='"x" onload="y')
    notes = ["<i>note</i>"]
    refused = [{"capture": name, "sensor": "rgb", "file": "a<b", "why": "&why"}]
    page = write(tmp_path, [record], notes=notes, refused=refused)
    assert len(page.all("script")) == 1
    assert all(one["src"].startswith("data:image/") for one in page.all("img"))
    assert page.words("bdi") == name.replace("\udcff", "?")
    (article,) = page.all("article")
    assert article["data-category"] == "<b>"
    assert article["data-kind"] == record["kind"]
    assert "<i>note</i>" in page.words("li")
    assert "a<b: &why" in page.words("li")


def test_the_headline_holds_what_was_asked_against_what_happened(tmp_path):
    words = write(tmp_path).words("p")
    assert "58 test parts of “Tyres & rims”, category tire" in words
    assert "builtin features for rgb, scanner" in words
    assert "Asked: at most 5 % false alarms; realised: 4.8 % (2 of 42 good parts)." in words


def test_the_headline_tells_categories_with_other_features_apart(tmp_path):
    features = {"tire": {"rgb": "builtin"}, "rim": {"rgb": "timm:x", "xray": "builtin"}}
    words = write(tmp_path, features=features, rows=[make_row(fpr=None)]).words("p")
    assert "builtin features for rgb (tire), xray and timm:x features for rgb (rim)" in words
    assert "how many there were could not be measured" in words


def test_the_tables_hold_every_number_with_its_interval(tmp_path):
    page = write(tmp_path)
    cells = [text for tag, text in page.texts if tag in ("td", "th", "small")]
    start = cells.index("fused")
    assert cells[start : start + 7] == [
        "fused", "42 + 16", "0.981", "[0.940–1.000]", "0.970", "–", "–"
    ]  # fmt: skip
    assert {"0.931", "0.875", "0.048", "0.210", "2.3 GB", "hole", "42 + 4"} <= set(cells)


def test_all_sensors_of_a_kind_stand_together_and_a_long_table_scrolls(tmp_path):
    several = [make_row(sensor=sensor, kind=kind) for sensor in ("rgb", "fused")
               for kind in ("hole", "cut")]  # fmt: skip
    for rows, styles in ((several, ["wide", "wide"]), (7 * several, ["wide", "wide long"])):
        page = write(tmp_path, rows_per_kind=rows)
        names = [text for tag, text in page.texts if tag == "th" and text in ("hole", "cut")]
        assert names == sorted(names)
        assert [one["class"] for one in page.all("div") if "wide" in one.get("class", "")] == styles


def test_notes_and_refused_files_stand_before_the_results(tmp_path):
    one = {"capture": "tire/9", "sensor": "rgb", "file": "9.png", "why": "is cut off"}
    page = write(tmp_path, notes=["few parts"], refused=[one])
    assert page.flow[:3] == ["Notes (1)", "Refused (1)", "Results"]
    assert "tire/9, rgb, 9.png: is cut off" in page.words("li")
    assert "few parts" in page.words("li")


def test_empty_lists_leave_no_heading(tmp_path):
    flow = write(tmp_path, rows_per_kind=[]).flow
    assert flow == ["Results", "Captures", "Made with"]


def test_a_page_that_fails_half_way_leaves_the_old_one(tmp_path):
    def fragments():
        yield card_of(make_record())
        raise OSError("the disk is gone")

    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(OSError, match="the disk is gone"):
        write_page(path, make_results([make_record()]), fragments())
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "old"


def test_fragments_are_taken_one_at_a_time(tmp_path):
    records = [make_record(str(number)) for number in range(40)]
    card, sizes = card_of(records[0]), []

    def fragments():
        for _ in records:
            sizes.append(next(tmp_path.glob(".report.html.*")).stat().st_size)
            yield card

    write_page(tmp_path / "report.html", make_results(records), fragments())
    assert sizes[-1] > 38 * len(card)


@pytest.mark.parametrize(
    ("fragments", "message"),
    [
        (["<p>hello</p>"], "an article from capture_card was promised"),
        ([card_of(make_record(group=group)) for group in ("missed", "found", "missed")],
         "'missed' came back"),
    ],
)  # fmt: skip
def test_fragments_that_are_not_as_promised_are_refused(tmp_path, fragments, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path, [make_record()], fragments=fragments)


# ---- tables


def cells_of(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_markdown_table_has_the_right_cells():
    lines = markdown_tables(make_results()).splitlines()
    table = [cells_of(line) for line in lines if line.startswith("|")]
    heading, fused = table[0], table[3]
    assert dict(zip(heading, fused, strict=True)) == {
        "category": "tire", "sensor": "fused", "good + defect": "42 + 16",
        "image AUROC": "0.981 [0.940–1.000]", "image AP": "0.970", "pixel AUROC": "–",
        "pixel AP": "–", "AUPRO@30": "0.931", "AUPRO@5": "0.700", "precision": "0.900",
        "recall": "0.875", "FPR": "0.048", "escapes": "0.125", "s/capture": "0.210",
        "peak memory": "2.3 GB",
    }  # fmt: skip
    assert table[4][:4] == ["category", "kind", "sensor", "good + defect"]
    assert table[6][:4] == ["tire", "hole", "fused", "42 + 4"]
    assert all(len(line) == len(heading) for line in table[:4])


def test_texts_of_the_captures_cannot_break_the_markdown():
    hostile = "a|b\n# c ![x](http://evil) <script> \udcff"
    one = {"capture": hostile, "sensor": "", "file": "", "why": "why"}
    text = markdown_tables(
        make_results(rows=[make_row(category=hostile)], refused=[one], notes=[hostile])
    )
    (line,) = [line for line in text.splitlines() if line.startswith("| a")]
    assert len(cells_of(line)) == 15
    assert r"\<script>" in text
    assert r"!\[x\]" in text
    assert "\n# c" not in text
    assert "## Refused (1)" in text
    text.encode("utf-8")


def test_markdown_leaves_out_what_is_empty_and_tells_what_it_was_made_with():
    text = markdown_tables(make_results(rows_per_kind=[]))
    assert "Per kind" not in text
    assert "Notes" not in text
    assert "Refused" not in text
    assert "- settings: fusion late, sensors –, seed 0" in text
    assert "- versions: mmdefect 0.1.0, torch 2.2" in text
    assert "that could be promised: tire 4.8 %" in text


def printed(results, width):
    stream = StringIO()
    Console(file=stream, width=width).print(console_table(results))
    return stream.getvalue()


def test_the_console_table_shows_the_interval_beside_its_number():
    (line,) = [line for line in printed(make_results(), 100).splitlines() if " fused " in line]
    assert line.split() == [
        "tire", "fused", "42+16", "0.981", "0.94–1.00", "–", "0.931", "0.875", "0.048",
        "0.210",
    ]  # fmt: skip


def test_the_console_table_fits_80_columns_without_cutting_anything():
    text = printed(make_results(rows=[make_row("cable_gl", "infrared")]), 80)
    assert {"cable_gl", "infrared", "42+16", "0.981", "0.94–1.00", "0.210"} <= set(text.split())
    assert "…" not in text


def test_brackets_in_a_category_stay_as_they_are_on_the_console():
    text = printed(make_results(rows=[make_row(category="[red]x[/]", sensor="[bold]")]), 120)
    assert "[red]x[/]" in text
    assert "[bold]" in text


# ---- the order


def test_mistakes_come_first_and_missed_defects_before_all():
    records = [make_record(group, group) for group in reversed(ORDER)]
    assert [record["capture"] for record in sorted(records, key=mistake_rank)] == list(ORDER)


def test_the_most_surprising_mistake_comes_first():
    missed = [make_record(f"m{p}", "missed", p_value=p) for p in (0.06, 0.9, 0.3)]
    alarms = [make_record(f"a{p}", "false_alarm", p_value=p) for p in (0.04, 0.01, 0.05)]
    tied = [make_record(f"t{s}", "found", p_value=0.01, image_score=s) for s in (9.0, 2.0)]
    unknown = make_record("m?", "missed", p_value=None, image_score=None)
    ordered = sorted([*tied, unknown, *alarms, *missed], key=mistake_rank)
    assert [record["capture"] for record in ordered] == [
        "m0.9", "m0.3", "m0.06", "m?", "a0.01", "a0.04", "a0.05", "t2.0", "t9.0"
    ]  # fmt: skip


@given(st.permutations(range(12)))
def test_the_order_does_not_depend_on_where_a_capture_stood(places):
    records = [
        make_record(f"{number:02d}", ORDER[number % 6], p_value=known)
        for number, known in enumerate([None, 0.1, float("nan")] * 4)
    ]
    shuffled = sorted((records[place] for place in places), key=mistake_rank)
    assert shuffled == sorted(records, key=mistake_rank)


def test_a_label_that_there_is_none_of_is_refused():
    with pytest.raises(ValueError, match="label 'bad' with verdict 'good' was found"):
        mistake_rank(make_record(label="bad"))
