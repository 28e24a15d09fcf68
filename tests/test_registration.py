"""Frames onto one grid: known pictures, known answers."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.errors import RegistrationError
from mmdefect.registration import resample, to_scene


def ramp(height: int, width: int, modality: str = "infrared", units: str = "K") -> xr.DataArray:
    y, x = np.mgrid[:height, :width]
    values = ((x + 0.5) / width + 10 * (y + 0.5) / height).astype(np.float32)
    return xr.DataArray(values, dims=("y", "x"), attrs={"modality": modality, "units": units})


def cloud(height: int, width: int) -> xr.DataArray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return xr.DataArray(
        np.stack([x, y, np.full_like(x, 300)]),
        dims=("axis", "y", "x"),
        coords={"axis": ["x", "y", "z"]},
        attrs={"modality": "points", "units": "mm"},
    )


@pytest.mark.parametrize("size", [(20, 30), (40, 60), (80, 120), (13, 17)])
def test_a_ramp_stays_the_same_ramp_over_the_field_of_view(size: tuple[int, int]) -> None:
    placed = resample(ramp(40, 60), *size).values
    wanted = ramp(*size).values
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(placed - wanted)[inner].max() < 0.02


def test_a_blind_pixel_never_turns_into_a_measurement() -> None:
    frame = ramp(20, 20)
    frame[5, 5] = np.nan
    grown = resample(frame, 60, 60).values
    assert np.isnan(grown[15:18, 15:18]).all()
    assert np.isnan(grown).sum() < 100


@given(
    height=st.integers(3, 30),
    width=st.integers(3, 30),
    to=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
@settings(deadline=None)  # the first call compiles
def test_points_are_picked_never_averaged(height: int, width: int, to: tuple[int, int]) -> None:
    frame = cloud(height, width)
    frame[2, : height // 2] = 400
    placed = resample(frame, *to).values
    assert set(np.unique(placed[2])) <= {300.0, 400.0}
    assert set(np.unique(placed[0])) <= set(range(width))


def test_a_sensor_from_elsewhere_keeps_its_own_grid() -> None:
    scene = to_scene(
        {"depth": ramp(40, 60, "depth", "mm"), "infrared": ramp(24, 32)},
        reference="depth",
        registered=[],
        size=(40, 60),
    )
    assert scene["grid"].to_series().to_dict() == {"depth": "depth", "infrared": "infrared"}
    assert scene["infrared"].shape == (40, 60)


def test_a_registered_sensor_of_half_the_pitch_shares_the_grid() -> None:
    scene = to_scene(
        {"depth": ramp(40, 60, "depth", "mm"), "infrared": ramp(20, 30)},
        reference="depth",
        registered=["infrared"],
        size=(40, 60),
    )
    assert set(scene["grid"].values) == {"depth"}


def test_a_registered_sensor_of_another_field_of_view_is_refused() -> None:
    with pytest.raises(RegistrationError, match=r"40x40 pixels.*40x60.*'registered'"):
        to_scene(
            {"depth": ramp(40, 60, "depth", "mm"), "infrared": ramp(40, 40)},
            reference="depth",
            registered=["infrared"],
            size=(40, 60),
        )
