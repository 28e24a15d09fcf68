"""The report leads to the viewer: one page a capture, mistakes first, within a bound."""

import json
import re
from pathlib import Path

import pytest
from shown import packed

from mmdefect.errors import CardError
from mmdefect.evaluate import evaluate
from mmdefect.report import linked, mistake_rank
from mmdefect.report_pages import write_pages
from mmdefect.settings import Settings
from mmdefect.viewer import Packed

CAPTURE = re.compile(r'id="capture-0">(.*?)</script>', re.S)


def capture_in(path: Path) -> str:
    return json.loads(CAPTURE.search(path.read_text(encoding="utf-8"))[1])["capture"]


@pytest.fixture(scope="module")
def results(miniature, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("results")
    settings = Settings(features={"rgb": "builtin"}, false_alarm=0.2)
    evaluate("mvtec3d", miniature("mvtec3d"), out, settings=settings)
    return out


def test_every_pictured_capture_leads_to_its_own_page(results):
    report = (results / "report.html").read_text(encoding="utf-8")
    links = dict(re.findall(r'<a class="open" href="([^"]+)"><bdi>(.*?)</bdi>', report))
    told = json.loads((results / "results.json").read_text())["captures"]
    assert list(links.values()) == [one["capture"] for one in sorted(told, key=mistake_rank)]
    assert {name: capture_in(results / name) for name in links} == links
    there = {f"viewer/{path.name}" for path in (results / "viewer").iterdir()}
    assert there == set(links)


def test_pages_lead_to_their_neighbours_and_to_the_report(results):
    pages = sorted((results / "viewer").iterdir())
    told = [json.loads(re.search(r'id="page">(.*?)</script>', path.read_text("utf-8"), re.S)[1])
            for path in pages]  # fmt: skip
    assert [one["links"].get("next", {}).get("address") for one in told] == [
        *(path.name for path in pages[1:]), None
    ]  # fmt: skip
    assert [one["links"].get("previous", {}).get("address") for one in told] == [
        None, *(path.name for path in pages[:-1])
    ]  # fmt: skip
    assert all(one["links"]["up"]["address"] == "../report.html" for one in told)


def test_the_truth_and_the_verdict_of_the_report_are_those_of_the_page(results):
    told = json.loads((results / "results.json").read_text())["captures"]
    by_name = {one["capture"]: one for one in told}
    for path in (results / "viewer").iterdir():
        page = json.loads(CAPTURE.search(path.read_text(encoding="utf-8"))[1])
        record = by_name[page["capture"]]
        assert page["verdict"] == record["verdict"]
        assert page["image_score"] == record["image_score"]
        assert page["label"] == record["label"]
        assert (page["truth"] is not None) == (page["label"] == "defect")


def kept(tmp_path: Path, count: int) -> tuple[dict, dict[str, Path]]:
    """Results of so many captures, every third of them missed, and what was packed of them."""
    one = packed()
    records, paths = [], {}
    for number in range(count):
        name = f"part/{number}"
        label = "good" if number % 3 else "defect"
        records.append({"capture": name, "label": label, "verdict": "good", "p_value": 0.5,
                        "image_score": 1.0})  # fmt: skip
        paths[name] = tmp_path / f"{number}.packed"
        own = one.text.replace("part/7", name)
        Packed({**one.head, "capture": name}, own).write(paths[name])
    return {
        "captures": records, "notes": [], "card": {"title": "", "name": "plates"},
        "created": "now",
    }, paths  # fmt: skip


def test_mistakes_come_first_and_the_bound_on_bytes_holds(tmp_path):
    results, paths = kept(tmp_path, 6)
    room = 2 * (paths["part/0"].stat().st_size + 100_000)
    addresses = write_pages(tmp_path, results, paths, room)
    assert list(addresses) == ["part/0", "part/3"]
    assert capture_in(tmp_path / addresses["part/3"]) == "part/3"
    written = sum(path.stat().st_size for path in (tmp_path / "viewer").iterdir())
    assert written <= room
    assert results["notes"] == [
        "the viewer holds 2 of 6 captures, mistakes first; --viewer-bytes allows more"
    ]


def test_without_room_there_is_no_page_and_old_ones_are_removed(tmp_path):
    results, paths = kept(tmp_path, 2)
    assert len(write_pages(tmp_path, results, paths)) == 2
    (tmp_path / "viewer" / "mine.html").write_text("kept")
    assert write_pages(tmp_path, results, paths, 0) == {}
    assert [path.name for path in (tmp_path / "viewer").iterdir()] == ["mine.html"]
    assert results["notes"] == []


def test_only_the_name_of_a_capture_becomes_a_link():
    fragment = "<article><h3><bdi>a&lt;b</bdi></h3><p><bdi>other</bdi></p></article>"
    assert linked(fragment, 'x"y.html') == (
        '<article><h3><a class="open" href="x&quot;y.html"><bdi>a&lt;b</bdi>'
        "<span>look closer</span></a></h3><p><bdi>other</bdi></p></article>"
    )


def test_pages_are_never_written_into_the_data_set(miniature, tmp_path):
    (tmp_path / "viewer").symlink_to(miniature("mvtec3d"))
    with pytest.raises(CardError, match="written into the data set"):
        evaluate("mvtec3d", miniature("mvtec3d"), tmp_path)
