"""Few good parts: every number fits and scores, what cannot be promised is referred."""

import json

import pytest
import typer

from mmdefect.cards import read_card
from mmdefect.cli._options import counts_of
from mmdefect.dataset import Dataset
from mmdefect.errors import CardError
from mmdefect.few import FewParts
from mmdefect.miniature import write_miniature
from mmdefect.report.curve import curve_line, curve_section
from mmdefect.settings import Settings

SETTINGS = Settings(sensors=("rgb", "infrared"), features={"rgb": "builtin", "infrared": "builtin"})


@pytest.fixture(scope="module")
def curve(tmp_path_factory) -> tuple[FewParts, list[dict]]:
    root, card = tmp_path_factory.mktemp("few"), read_card("folder")
    write_miniature(card, root, train=6, test=6, side=32)
    made = FewParts(Dataset(card, root, sensors=SETTINGS.sensors), "plate", SETTINGS)
    return made, made.rows([8, 1, 4, 1, 50])


def test_every_number_of_parts_fits_and_scores(curve):
    _, rows = curve
    assert [row["parts"] for row in rows] == [1, 4, 8]
    assert [(row["fit"], row["calibration"]) for row in rows] == [(1, 0), (3, 1), (6, 2)]
    for row in rows:
        assert list(row["image_auroc"]) == ["rgb", "infrared", "fused"]
        assert all(0 <= area <= 1 for area in row["image_auroc"].values())
        low, high = row["intervals"]["fused"]
        assert low <= row["image_auroc"]["fused"] <= high
    assert rows[-1]["image_auroc"]["fused"] > 0.9
    json.dumps(rows, allow_nan=False)


def test_what_so_few_cannot_promise_is_referred_and_the_smallest_rate_is_told(curve):
    _, rows = curve
    assert [row["smallest_false_alarm"] for row in rows] == [1.0, 0.5, pytest.approx(1 / 3)]
    assert all(row["referred"] == 1.0 for row in rows)


def test_numbers_that_cannot_be_had_are_told(curve):
    made, _ = curve
    assert any("8 good parts are there; no curve for 50 and more" in n for n in made.dataset.notes)
    with pytest.raises(CardError, match="0 good parts were asked for; one at least was promised"):
        made.rows([4, 0])


def test_the_curve_is_drawn_and_tabled(curve):
    _, rows = curve
    page = curve_section(rows)
    assert page.count("<polyline") == 3
    assert "<td>1</td><td>1 + 0</td><td>1</td><td>100%</td>" in page
    assert curve_section([]) == ""
    assert curve_line(rows[0], ["fused", "sonar"])[-1] == "–"


@pytest.mark.parametrize(("text", "counts"), [("", ()), ("1,2, 16", (1, 2, 16))])
def test_numbers_are_read_from_the_command_line(text, counts):
    assert counts_of(text) == counts


@pytest.mark.parametrize("text", ["0", "two", "4,-1", "1.5"])
def test_what_is_no_number_of_parts_is_refused(text):
    with pytest.raises(typer.BadParameter, match="whole numbers from 1 were promised"):
        counts_of(text)
