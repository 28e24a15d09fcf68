"""Shapley values: what every share must satisfy, and toys solved by hand."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmdefect.errors import MmdefectError
from mmdefect.registry import load

RULES = ("bonferroni", "fisher", "harmonic", "max", "mean", "norm", "stouffer")
SENSORS = ("rgb", "points", "infrared", "xray")
NAN = float("nan")
CHECK = settings(derandomize=True, database=None, deadline=None, max_examples=12)

SHAPLEY = load("explain", "shapley")()


def late(rule: str):
    return load("fusion", "late")(rule=rule)


def prediction(
    evidence: list[float] | np.ndarray,
    maps: np.ndarray | None = None,
    *,
    grids: list[str] | None = None,
) -> xr.Dataset:
    """A prediction of as many sensors as there are evidences, all registered unless told."""
    evidence = np.asarray(evidence, dtype=np.float64)
    names = [*SENSORS, *(f"s{n}" for n in range(9))][: len(evidence)]
    maps = np.zeros((len(names), 2, 3)) if maps is None else maps
    return xr.Dataset(
        {"evidence": ("sensor", evidence), "evidence_map": (("sensor", "y", "x"), maps)},
        coords={
            "sensor": names,
            "grid": ("sensor", grids or ["rgb"] * len(names)),
            "y": np.arange(2.0),
            "x": np.arange(3.0),
        },
        attrs={"reference": "rgb"},
    )


def shares(rule: str, evidence: list[float], baseline: float = 0.0) -> list[float]:
    judged = prediction(evidence).assign_attrs(reference="rgb", baseline=baseline)
    return SHAPLEY.attribute(late(rule), judged)["attribution"].values.tolist()


EVIDENCE = st.lists(st.floats(0, 30) | st.just(NAN), min_size=1, max_size=4)


@pytest.mark.parametrize("rule", RULES)
@given(EVIDENCE, st.floats(0, 5))
@CHECK
def test_the_shares_sum_to_the_score_less_the_baseline(rule, evidence, baseline):
    score = float(late(rule).combine(prediction(evidence)["evidence"]))
    wanted = 0 if np.isnan(score) else score - baseline
    assert sum(shares(rule, evidence, baseline)) == pytest.approx(wanted, abs=1e-6)


class Sum:
    """A fusion whose score is the sum of two others'."""

    def __init__(self, *rules: str) -> None:
        self.parts = [late(rule) for rule in rules]

    def combine(self, evidence: xr.DataArray) -> xr.DataArray:
        return sum(part.combine(evidence) for part in self.parts)


@given(EVIDENCE)
@CHECK
def test_the_shares_of_a_sum_of_two_scores_are_the_sums_of_the_shares(evidence):
    both = SHAPLEY.attribute(Sum("norm", "max"), prediction(evidence))["attribution"].values
    apart = np.add(shares("norm", evidence), shares("max", evidence))
    np.testing.assert_allclose(both, apart, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_without_any_evidence_the_part_is_worth_the_baseline(rule):
    assert shares(rule, [NAN, NAN], baseline=2.0) == [0.0, 0.0]
    assert shares(rule, [3.0, NAN], baseline=2.0)[1] == 0.0


def test_shares_by_hand_with_a_baseline():
    # rgb joins an empty rig: 6 − 1; joins xray: 6 − 2. xray: 2 − 1 and 6 − 6
    assert shares("max", [6.0, 2.0], baseline=1.0) == pytest.approx([(5 + 4) / 2, (1 + 0) / 2])
    told = prediction([0.0, 0.0], np.full((2, 2, 3), 2.0)).assign_attrs(
        reference="rgb", pixel_baseline=1.0
    )
    assert (SHAPLEY.attribute(late("max"), told)["attribution_map"] == 0.5).all()


@pytest.mark.parametrize("rule", RULES)
@given(
    hnp.arrays(np.float64, (3, 2, 3), elements=st.floats(0, 30) | st.just(NAN)),
    st.lists(st.booleans(), min_size=3, max_size=3),
)
@CHECK
def test_the_maps_sum_to_the_map_of_the_registered_sensors(rule, maps, on_grid):
    names = SENSORS[:3]
    grids = ["rgb" if on else name for on, name in zip([True, *on_grid[1:]], names, strict=True)]
    told = prediction([1.0, 2.0, 3.0], maps, grids=grids)
    registered = [name for name, grid in zip(names, grids, strict=True) if grid == "rgb"]
    whole = late(rule).combine(told["evidence_map"].sel(sensor=registered)).fillna(0.0)
    attribution = SHAPLEY.attribute(late(rule), told)["attribution_map"]
    assert attribution.dims == ("sensor", "y", "x")
    np.testing.assert_allclose(attribution.sum("sensor"), whole, atol=1e-6)
    for name in set(names) - set(registered):
        assert (attribution.sel(sensor=name) == 0).all()


@pytest.mark.parametrize("rule", RULES)
@given(st.floats(0, 30), st.floats(0, 30))
@CHECK
def test_two_sensors_that_say_the_same_get_the_same(rule, same, other):
    one, _, twin = shares(rule, [same, other, same])
    assert one == pytest.approx(twin, abs=1e-9)


@pytest.mark.parametrize("rule", RULES)
@given(EVIDENCE)
@CHECK
def test_the_order_of_the_sensors_does_not_matter(rule, evidence):
    assert shares(rule, evidence)[::-1] == pytest.approx(shares(rule, evidence[::-1]), abs=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_a_sensor_without_evidence_gets_nothing_and_changes_nothing(rule):
    assert shares(rule, [3.0, NAN, 1.0]) == pytest.approx(
        np.insert(shares(rule, [3.0, 1.0]), 1, 0.0)
    )
    assert shares(rule, [NAN, NAN]) == [0.0, 0.0]


@pytest.mark.parametrize("rule", ["fisher", "max", "norm"])
def test_a_sensor_whose_evidence_is_zero_gets_nothing(rule):
    assert shares(rule, [3.0, 0.0, 1.0])[1] == pytest.approx(0.0)


def test_under_the_sum_every_sensor_gets_its_own_evidence():
    assert shares("fisher", [3.0, 0.5, 1.0, 7.0]) == pytest.approx([3.0, 0.5, 1.0, 7.0])


@pytest.mark.parametrize(
    ("rule", "evidence", "expected"),
    [
        # joined first rgb adds 6, joined second it adds 6 − 2: half of each
        ("max", [6.0, 2.0], [(6 + 4) / 2, (2 + 0) / 2]),
        ("max", [5.0, 5.0], [2.5, 2.5]),
        # the airport game: the lowest is shared by three, the next step by two, the last by one
        ("max", [6.0, 3.0, 1.5], [0.5 + 0.75 + 3.0, 0.5 + 0.75, 0.5]),
        ("norm", [3.0, 4.0], [(3 + 1) / 2, (4 + 2) / 2]),
        # the mean of one is 6; a second sensor of 2 takes it down to 4
        ("mean", [6.0, 2.0], [(6 + 2) / 2, (2 - 2) / 2]),
    ],
)
def test_shares_by_hand(rule, evidence, expected):
    assert shares(rule, evidence) == pytest.approx(expected)


def test_shares_by_hand_hold_pixel_by_pixel():
    maps = np.zeros((2, 2, 3))
    maps[:, 0, 0] = [6.0, 2.0]
    maps[:, 1, 2] = [NAN, 2.0]
    told = SHAPLEY.attribute(late("max"), prediction([0.0, 0.0], maps))["attribution_map"]
    assert told[:, 0, 0].values.tolist() == [5.0, 1.0]
    assert told[:, 1, 2].values.tolist() == [0.0, 2.0]
    assert (told[:, 0, 1:] == 0).all()


def test_a_sensor_on_a_grid_of_its_own_has_a_share_of_the_part_and_none_of_a_pixel():
    maps = np.ones((2, 2, 3))
    told = SHAPLEY.attribute(late("fisher"), prediction([1.0, 4.0], maps, grids=["rgb", "points"]))
    assert told["attribution"].values.tolist() == [1.0, 4.0]
    assert (told["attribution_map"].sel(sensor="rgb") == 1).all()
    assert (told["attribution_map"].sel(sensor="points") == 0).all()


def test_with_no_sensor_on_the_reference_s_grid_no_pixel_has_a_share():
    told = SHAPLEY.attribute(
        late("fisher"), prediction([1.0], np.ones((1, 2, 3)), grids=["points"])
    )
    assert (told["attribution_map"] == 0).all()


def test_exact_shares_are_refused_for_more_than_eight_sensors():
    assert sum(shares("max", [float(n) for n in range(8)])) == pytest.approx(7.0)
    with pytest.raises(MmdefectError, match="9 sensors were found; exact shares are given for up"):
        shares("fisher", [1.0] * 9)


def test_attributing_leaves_the_prediction_as_it_was():
    told = prediction([1.0, 2.0], np.ones((2, 2, 3)))
    before = told.copy(deep=True)
    SHAPLEY.attribute(late("norm"), told)
    assert told.identical(before)
