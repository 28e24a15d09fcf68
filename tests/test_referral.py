"""What is referred: the band from stated costs, worked out by hand and with planted defects."""

from math import e, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plates import plate
from typer.testing import CliRunner

from mmdefect.cli import app
from mmdefect.inspection import Inspection
from mmdefect.referral import Costs, Referral, cost_row
from mmdefect.registry import load
from mmdefect.report.costs import cost_line, costs_section

CHECK = settings(derandomize=True, database=None, deadline=None)
MONEY = st.floats(0, 1000)


def highest_chance(p_value: float, rate: float) -> float:
    """The most that the chance of a defect can be, by the bound that the docs name."""
    odds = rate / (1 - rate)
    odds /= -e * p_value * log(p_value) if p_value < 1 / e else 1.0
    return odds / (1 + odds)


@given(MONEY, MONEY, MONEY, st.floats(0.001, 0.5), st.floats(0.001, 0.999))
@CHECK
def test_a_verdict_is_referred_exactly_where_it_is_dearer_than_a_look(
    missed, false_alarm, referral, rate, p_value
):
    band = Referral.of_costs(Costs(missed, false_alarm, referral, rate))
    chance = highest_chance(p_value, rate)
    for verdict, dear in (("good", missed * chance), ("defect", false_alarm * (1 - chance))):
        if abs(dear - referral) > 1e-6 * (1 + dear):
            assert (band.verdict(verdict, p_value) == "refer") == (dear > referral)
    assert band.verdict("not_inspectable", p_value) == "not_inspectable"


def test_the_band_by_hand():
    # passing costs 1000 × chance: dearer than 10 from odds of 1/99, twice the rate's 1/199
    band = Referral.of_costs(Costs(1000, 0, 10, 0.005))
    assert -e * band.high * log(band.high) == pytest.approx(99 / 199)
    assert band.low == 1.0
    assert Referral.of_costs(Costs(10, 10, 10, 0.01)) == Referral(1.0, 0.0, Costs(10, 10, 10, 0.01))
    free = Referral.of_costs(Costs(10, 10, 0, 0.01))
    assert {free.verdict("good", 0.9), free.verdict("defect", 0.01)} == {"refer"}


@pytest.mark.parametrize("shape", [0.05, 0.3, 0.8])
def test_with_planted_defects_the_band_costs_no_more_than_any_verdict_alone(shape):
    costs, count = Costs(300, 40, 4, 0.01), 30_000
    rng = np.random.default_rng(3)
    defective = rng.random(count) < costs.defect_rate
    p = np.where(defective, rng.random(count) ** (1 / shape), rng.random(count))
    band = Referral.of_costs(costs)

    def cost(verdicts) -> float:
        told = [costs.of(v, defective=d) for v, d in zip(verdicts, defective, strict=True)]
        return float(np.mean(told))

    two = ["defect" if value <= 0.05 else "good" for value in p]
    three = [band.verdict(verdict, value) for verdict, value in zip(two, p, strict=True)]
    assert {"good", "refer"} <= set(three)
    assert cost(three) < cost(two)
    assert cost(three) < min(cost(["defect"] * count), cost(["good"] * count)) + 0.02


def test_the_false_alarm_rate_only_falls():
    p = np.random.default_rng(0).random(5000)
    band = Referral.of_costs(Costs(300, 40, 4, 0.01))
    called = [band.verdict("defect" if value <= 0.05 else "good", value) for value in p]
    assert called.count("defect") <= (p <= 0.05).sum()


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (lambda: Costs(-1, 1, 1, 0.1), "the cost missed is -1"),
        (lambda: Costs(1, float("inf"), 1, 0.1), "the cost false_alarm is inf"),
        (lambda: Costs(1, 1, 1, 0.0), "the defect rate is 0.0; a share between 0 and 1"),
        (lambda: Referral(high=1.5), "a p-value of 1.5 was given; 0 to 1 was promised"),
    ],
)
def test_what_is_no_cost_is_refused(made, what):
    with pytest.raises(ValueError, match=what):
        made()


def record(label: str, verdict: str, p_value: float) -> dict:
    return {"label": label, "verdict": verdict, "p_value": p_value}


def test_what_verdicts_cost_by_hand_whatever_the_test_set_holds():
    records = [
        record("good", "good", 0.9),
        record("good", "refer", 0.04),  # 0.05 would have called it defective
        record("defect", "defect", 0.01),
        record("defect", "good", 0.5),
    ]
    told = cost_row(records, Costs(100, 10, 2, 0.1), 0.05)
    assert told["as_judged"] == pytest.approx(0.9 * (0 + 2) / 2 + 0.1 * (0 + 100) / 2)
    assert told["without_referral"] == pytest.approx(0.9 * 10 / 2 + 0.1 * 100 / 2)
    ways = [told[f"all_{way}"] for way in ("passed", "scrapped", "referred")]
    assert ways == pytest.approx([10, 9, 2])
    assert (told["good_referred"], told["defective_referred"]) == (0.5, 0.0)
    row = {"category": "<b>", **told}
    assert "<b>" not in costs_section([row]).replace("<tbody>", "")
    assert "a missed defect costs 100" in costs_section([row])
    assert cost_line(row)[1:3] == ["5.90", "9.50"]
    assert cost_row(records[:2], Costs(100, 10, 2, 0.1), 0.05) is None


# ---------------------------------------------------------------- with a model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    fusion = load("fusion", "late")(sensors=("points", "infrared"))
    fitted = Inspection(fusion, 0.2, refer=0.5)
    fitted.fit([plate(n) for n in range(6)], [plate(100 + n) for n in range(5)])
    folder = tmp_path_factory.mktemp("model") / "m"
    fitted.save(folder)
    return folder


def test_a_model_keeps_its_band_and_the_history_can_take_it_back(model):
    runner = CliRunner()
    before = Inspection.load(model)
    assert before.refer == Referral(high=0.5)
    flags = ["--costs", "300,40,4", "--defect-rate", "0.02"]
    told = runner.invoke(app, ["threshold", str(model), *flags])
    assert told.exit_code == 0, told.output
    assert "a missed defect costs 300" in told.output
    now = Inspection.load(model)
    assert now.refer == Referral.of_costs(Costs(300, 40, 4, 0.02))
    assert now.false_alarm == 0.2
    assert now.model_.hash != before.model_.hash
    assert "2 % of parts are defective" in runner.invoke(app, ["model", str(model)]).output
    assert runner.invoke(app, ["undo", str(model)]).exit_code == 0
    assert Inspection.load(model).refer == Referral(high=0.5)


def test_planted_defects_are_called_or_referred_and_say_why(model):
    inspection = Inspection.load(model)
    inspection.refer = Referral.of_costs(Costs(300, 40, 4, 0.02))
    judged = inspection.predict(plate(500, dent=True, hot=True))
    assert judged.attrs["verdict"] == "refer"  # five good parts say too little: p is 1/6
    assert "a false alarm 40, a referral 4; 2 % of parts are defective" in judged.attrs["why"]
    inspection.refer = Referral()
    assert inspection.predict(plate(500, dent=True, hot=True)).attrs["verdict"] == "defect"


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--costs", "1,2"], "three numbers were promised"),
        (["--costs", "1,2,x"], "three numbers were promised"),
        (["--costs", "1,2,-3"], "a finite number from 0 was promised"),
        (["--costs", "1,2,3", "--refer-up-to", "0.1"], "leave one of the two out"),
        (["--refer-up-to", "2"], "0 to 1 was promised"),
        ([], "give --false-alarm"),
    ],
)
def test_flags_that_are_no_band_are_refused(model, flags, what):
    told = CliRunner().invoke(app, ["threshold", str(model), *flags])
    assert told.exit_code == 2
    assert what in " ".join(told.output.replace("│", " ").split())
