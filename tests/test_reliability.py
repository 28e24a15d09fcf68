"""The monitor of sensors: it stays quiet on good parts, names planted faults, and recovers."""

import json

import numpy as np
import pytest
import xarray as xr

from mmdefect.judging import Judge
from mmdefect.peaks import Peaks
from mmdefect.reliability import BETS, DEFECTIVE, SIGN_BETS, Monitor, Reliability
from mmdefect.verdict import Calibration, conformal_threshold
from mmdefect.zones import Place

SENSORS = ("rgb", "infrared", "xray")
ALL = Place("part", "rgb", np.ones((2, 2), bool), 0.0, 1.0)


def stream(rng: np.random.Generator, length: int, defective: float = 0.0) -> np.ndarray:
    """Scores of parts that go by; the defective ones are far higher."""
    scores = rng.normal(size=length)
    return scores + 5 * (rng.random(length) < defective)


def fired(monitor: Monitor, scores: np.ndarray) -> int | None:
    """Tell after how many captures a monitor fires."""
    for number, score in enumerate(scores):
        if monitor.see(score):
            return number + 1
    return None


@pytest.mark.parametrize("bet", [*BETS, *SIGN_BETS[0]])
def test_no_bet_pays_on_average_while_nothing_changes(bet):
    mean = np.mean([bet.pays(p) for p in (np.arange(2000) + 0.5) / 2000])
    worst = max(bet.pays(1e-9), bet.pays(1 - 1e-9))
    assert mean <= 1 + 1e-3
    if bet.forgiving:
        assert (1 - DEFECTIVE) * mean + DEFECTIVE * worst <= 1 + 1e-3


@pytest.mark.parametrize("defective", [0.0, 0.1])
def test_it_fires_no_oftener_than_stated(defective):
    rng = np.random.default_rng(0)
    early = 0
    for seed in range(60):
        monitor = Monitor(stream(rng, 30), run_length=2000, seed=seed)
        early += fired(monitor, stream(rng, 400, defective)) is not None
    # at a run length of 2000 about one in five of such streams may fire
    assert early <= 0.2 * 60 + 3 * (60 * 0.2 * 0.8) ** 0.5


@pytest.mark.parametrize(
    ("shown", "fault"),
    [
        (lambda scores: scores + 50, "strange"),
        (lambda scores: scores + 1.5, "strange"),
        (lambda scores: scores * 0.01 - 2, "blind"),
        (lambda scores: np.full_like(scores, 0.3), "frozen"),
    ],
)
def test_a_planted_fault_is_named_within_thirty_captures_and_forgiven_when_it_is_over(shown, fault):
    rng = np.random.default_rng(1)
    late = []
    for seed in range(20):
        monitor = Monitor(stream(rng, 40), run_length=10_000, seed=seed)
        assert fired(monitor, stream(rng, 50)) is None
        late.append(fired(monitor, shown(stream(rng, 60))))
        assert monitor.fault == fault
        after = [bool(monitor.see(score)) for score in stream(rng, 120)]
        assert after[0]
        assert not after[-1]
    assert np.median(late) <= 30
    assert max(late) <= 60


def test_it_goes_on_where_it_was():
    rng = np.random.default_rng(2)
    first, second = Monitor(stream(rng, 20), 1e4), Monitor(stream(rng, 20), 1e4)
    scores = stream(rng, 60) + np.linspace(0, 4, 60)
    for score in scores[:30]:
        first.see(score)
    second = Monitor.from_state(json.loads(json.dumps(first.state())))
    told = [[monitor.see(score) for score in scores[30:]] for monitor in (first, second)]
    assert told[0] == told[1]
    assert first.stakes.tolist() == second.stakes.tolist()
    assert told[0][-1] == "strange"


def test_an_absent_sensor_says_nothing_of_itself():
    monitor = Monitor([1.0, 2.0, 3.0], 1e4)
    assert monitor.see(float("nan")) == ""
    assert monitor.stakes.tolist() == [0.0] * len(BETS)


# ---------------------------------------------------------------- in the verdict


def prediction(evidence: list[float]) -> xr.Dataset:
    maps = np.broadcast_to(np.array(evidence)[:, None, None], (3, 2, 2)).copy()
    return xr.Dataset(
        {
            "evidence": ("sensor", evidence),
            "sensor_score": ("sensor", evidence),
            "evidence_map": (("sensor", "y", "x"), maps),
            "sensor_map": (("sensor", "y", "x"), maps),
            "anomaly_map": (("y", "x"), maps.max(0)),
            "image_score": float(np.nanmax(evidence)),
        },
        coords={"sensor": list(SENSORS), "grid": ("sensor", ["rgb"] * 3)},
        attrs={"reference": "rgb"},
    )


@pytest.fixture
def line() -> Reliability:
    rng = np.random.default_rng(3)
    good = rng.exponential(size=(60, 3))
    calibration = Calibration(SENSORS, good, good, lambda evidence: evidence.max("sensor"))
    return Reliability(Judge(calibration, Peaks(), 0.05))


def verdicts(line: Reliability, rows: np.ndarray) -> list[xr.Dataset]:
    return [line.judged(prediction(row.tolist()), [ALL]) for row in rows]


def test_good_parts_stay_good_and_no_sensor_is_named(line):
    told = verdicts(line, np.random.default_rng(4).exponential(size=(60, 3)))
    assert all(row.attrs["faults"] == {} for row in told)
    given = [row.attrs["verdict"] for row in told]
    assert given.count("defect") < 0.12 * 60
    assert given.count("good") > 0.75 * 60


def test_a_collapsed_sensor_is_named_and_its_defects_become_referrals(line):
    rows = np.random.default_rng(5).exponential(size=(60, 3))
    rows[:, 2] = 40 + np.arange(60)
    told = verdicts(line, rows)
    faults = [row.attrs["faults"] for row in told]
    first = next(n for n, named in enumerate(faults) if named)
    assert first < 15
    assert faults[first] == {"xray": "strange"}
    assert {row.attrs["verdict"] for row in told[:first]} == {"defect"}
    assert {row.attrs["verdict"] for row in told[first:]} <= {"refer", "defect"}
    alone = line.judge.calibration.fused(["rgb", "infrared"])
    for row, shown in zip(told[first:], rows[first:], strict=True):
        assert float(row["image_score"]) == pytest.approx(shown[:2].max())
        p_value = (1 + (alone >= shown[:2].max()).sum()) / (len(alone) + 1)
        assert float(row["p_value"]) == pytest.approx(p_value)


def test_a_run_of_truly_defective_parts_is_never_passed(line):
    rows = np.random.default_rng(6).exponential(size=(30, 3))
    rows[:, 1] += 30
    assert all(row.attrs["verdict"] in ("defect", "refer") for row in verdicts(line, rows))


def test_what_the_healthy_sensors_alone_would_have_caught_is_never_passed(line):
    rng = np.random.default_rng(7)
    rows = rng.exponential(size=(40, 3))
    rows[:, 0] += 2.5
    rows[:, 2] = 0.001
    for row, told in zip(rows, verdicts(line, rows), strict=True):
        calibration = line.judge.calibration
        alone = calibration.fused(["rgb", "infrared"])
        if (1 + (alone >= row[:2].max()).sum()) / (len(alone) + 1) <= 0.05:
            assert told.attrs["verdict"] != "good"


def test_a_part_that_a_wrongly_named_sensor_condemns_is_referred(line):
    # the root of the sum of squares: a dead sensor's silence raises the threshold of all sensors
    rows = np.random.default_rng(13).exponential(size=(60, 3))
    calibration = Calibration(SENSORS, rows, rows, lambda shown: (shown**2).sum("sensor") ** 0.5)
    watch = Reliability(Judge(calibration, Peaks(), 0.05))
    watch.monitors["rgb"].fault, watch.monitors["infrared"].fault = "frozen", "level"
    every, both, alone = (
        conformal_threshold(calibration.fused(list(names)), 0.05)
        for names in (SENSORS, SENSORS[1:], SENSORS[2:])
    )
    part = [0.0, (((every + both) / 2) ** 2 - (0.9 * alone) ** 2) ** 0.5, 0.9 * alone]
    assert both < (part[1] ** 2 + part[2] ** 2) ** 0.5 < every
    told = watch.judged(prediction(part), [ALL])
    assert set(told.attrs["faults"]) == {"rgb", "infrared"}
    assert float(told["image_score"]) == pytest.approx(part[2])
    assert told.attrs["verdict"] == "refer"


def test_a_line_goes_on_after_a_restart(line):
    rows = np.random.default_rng(8).exponential(size=(20, 3))
    rows[:, 0] += 20
    verdicts(line, rows[:10])
    other = Reliability(line.judge)
    other.resume(json.loads(json.dumps(line.state())))
    told = [[row.attrs["faults"] for row in verdicts(one, rows[10:])] for one in (line, other)]
    assert told[0] == told[1]


# ---------------------------------------------------------------- the sensor's own state


@pytest.mark.parametrize(("sign", "fault"), [(0, "level"), (1, "moved"), (2, "moved")])
def test_a_sensor_that_scores_as_before_is_named_by_its_own_state(sign, fault):
    rng = np.random.default_rng(9)
    late = []
    for seed in range(10):
        monitor = Monitor(stream(rng, 40), 10_000, seed, rng.normal(size=(40, 3)))
        healthy = rng.normal(size=(30, 3))
        assert not any(monitor.see(s, row) for s, row in zip(stream(rng, 30), healthy, strict=True))
        pushed = rng.normal(size=(60, 3))
        pushed[:, sign] -= 1.8
        told = [monitor.see(s, row) for s, row in zip(stream(rng, 60), pushed, strict=True)]
        late.append(next(n for n, named in enumerate(told) if named) + 1)
        assert told[-1] == fault
        back = rng.normal(size=(120, 3))
        assert [monitor.see(s, row) for s, row in zip(stream(rng, 120), back, strict=True)][
            -1
        ] == ""
    assert np.median(late) <= 30


def test_signs_raise_no_more_false_alarms_than_stated():
    rng = np.random.default_rng(10)
    early = 0
    for seed in range(40):
        monitor = Monitor(stream(rng, 30), 2000, seed, rng.normal(size=(30, 3)))
        rows = rng.normal(size=(200, 3))
        early += any(monitor.see(s, row) for s, row in zip(stream(rng, 200), rows, strict=True))
    assert early <= 0.1 * 40 + 3 * (40 * 0.1 * 0.9) ** 0.5


def test_an_unknown_sign_says_nothing_and_a_model_of_old_knows_none():
    rng = np.random.default_rng(11)
    monitor = Monitor(stream(rng, 30), 1e4, signs=rng.normal(size=(30, 3)))
    before = monitor.stakes.copy()
    monitor.see(0.1, [float("nan"), 5.0])
    assert (monitor.stakes[6:12] == before[6:12]).all()
    assert (monitor.stakes[12:18] > before[12:18]).any()
    assert (monitor.stakes[18:] == before[18:]).all()
    old = Monitor(stream(rng, 30), 1e4)
    old.see(0.1, [1e9, 1e9, 1e9])
    assert len(old.stakes) == len(BETS)


def test_a_line_is_watched_by_the_signs_of_its_calibration_parts(line):
    rng = np.random.default_rng(12)
    held = line.judge.calibration
    signs = rng.normal(size=(60, 3, 3))
    calibration = held.joined([], [], [], signs)
    assert calibration.joined([], [], [], signs).signs.shape == (120, 3, 3)
    watch, again = (Reliability(Judge(calibration, Peaks(), 0.05)) for _ in range(2))
    for number, row in enumerate(rng.exponential(size=(30, 3))):
        shown = rng.normal(size=(3, 3))
        shown[1, 0] += 4 * (number > 5)
        said = prediction(row.tolist()).assign(signs=(("sensor", "sign"), shown))
        told = watch.judged(said, [ALL])
        again.pass_by(dict(zip(SENSORS, row, strict=True)), dict(zip(SENSORS, shown, strict=True)))
    assert told.attrs["faults"] == {"infrared": "level"}
    assert again.state() == watch.state()


def test_a_sensor_has_not_recovered_while_another_bet_wins():
    rng = np.random.default_rng(0)
    monitor = Monitor(rng.normal(size=60), 10_000, 0, rng.normal(size=(60, 3)))
    said = []
    for number in range(60):
        signs = rng.normal(size=3) + 6.0 * np.array([number < 8, 0, 0])
        said.append(monitor.see(rng.normal() + 4.0, signs))
    first = next(number for number, fault in enumerate(said) if fault)
    assert first < 8
    assert all(said[first:])
    for _ in range(30):
        last = monitor.see(rng.normal(), rng.normal(size=3))
    assert last == ""
