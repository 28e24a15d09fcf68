"""The scene: one capture as one labelled tensor on the reference camera's grid.

A plain ``xarray.Dataset`` and a check, no class of our own:

* dimension names make a transposed or shifted frame an error instead of a wrong result;
* variables are named after the rig's sensors, so two cameras of a kind find a place;
* where a sensor measured nothing the value is NaN and ``valid`` is False: a forgotten mask shows
  at once, and an absent sensor is a sensor that is blind everywhere;
* units are declared by the card, or honestly ``relative``.

``PROMISES`` is the whole table of what a measurement of each modality looks like.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from mmdefect.errors import SceneError

if TYPE_CHECKING:
    import torch

LABELS = ("good", "defect")


class Promise(NamedTuple):
    """What a measurement of one modality looks like: its dims, units and channel labels."""

    dims: tuple[str, ...]
    units: tuple[str, ...]
    channels: tuple[str, ...] | None


PROMISES = {
    "rgb": Promise(("color", "y", "x"), ("1",), ("red", "green", "blue")),
    "points": Promise(("axis", "y", "x"), ("mm", "relative"), ("x", "y", "z")),
    "depth": Promise(("y", "x"), ("mm", "relative"), None),
    "infrared": Promise(("y", "x"), ("K", "relative"), None),
    "xray": Promise(("energy", "y", "x"), ("1", "relative"), None),
}

DERIVED = "per channel"
"""The ``units`` of channels that each have a unit of their own: coordinate ``channel_unit``."""
DERIVED_PROMISES = {"infrared": Promise(("channel", "y", "x"), (DERIVED,), None)}
"""What is derived from a sequence of frames, by modality."""


def promise_of(modality: str, unit: object) -> Promise:
    """Tell what a measurement looks like.

    Parameters
    ----------
    modality : str
        One of ``PROMISES``.
    unit : object
        ``DERIVED`` asks for channels that were derived from a sequence.

    Returns
    -------
    Promise
    """
    derived = DERIVED_PROMISES.get(modality) if unit == DERIVED else None
    return derived or PROMISES[modality]


def blank_frame(modality: str, unit: str, height: int, width: int) -> xr.DataArray:
    """Make the frame of a sensor that measured nothing.

    Parameters
    ----------
    modality : str
        One of ``PROMISES``.
    unit : str
        The unit the sensor would have delivered.
    height, width : int
        Size in pixels.

    Returns
    -------
    DataArray (…, y, x), float32
        NaN everywhere; one channel where the modality leaves their number open.
    """
    promise = promise_of(modality, unit)
    leading = [len(promise.channels or "1")] if len(promise.dims) == 3 else []
    frame = xr.DataArray(
        np.full((*leading, height, width), np.nan, dtype=np.float32),
        dims=promise.dims,
        attrs={"modality": modality, "units": unit},
    )
    return (
        frame.assign_coords({promise.dims[0]: list(promise.channels)})
        if (promise.channels)
        else frame
    )


def measured(frame: xr.DataArray) -> xr.DataArray:
    """Tell where a frame holds a measurement in every channel.

    Parameters
    ----------
    frame : DataArray (…, y, x), float32

    Returns
    -------
    DataArray (y, x), bool
    """
    leading = tuple(axis for axis, dim in enumerate(frame.dims) if dim not in ("y", "x"))
    dims = [dim for dim in frame.dims if dim in ("y", "x")]
    kept = {name: frame.coords[name] for name in dims if name in frame.coords}
    return xr.DataArray(np.isfinite(frame.values).all(leading), dims=dims, coords=kept)


def new_scene(
    frames: Mapping[str, xr.DataArray],
    *,
    reference: str,
    grids: Mapping[str, str] | None = None,
    defect: np.ndarray | None = None,
    attrs: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Build a scene from frames that already have one size.

    Parameters
    ----------
    frames : mapping of str to DataArray (…, y, x), float32
        One frame per sensor, with attrs ``modality`` and ``units``; NaN where blind.
    reference : str
        The sensor whose camera defines the grid.
    grids : mapping of str to str, optional
        The grid each frame lies on: the reference's name for a registered sensor (the default),
        the sensor's own name for one that was only resampled.
    defect : bool array (y, x), optional
        Ground truth, only where it is known.
    attrs : mapping, optional
        ``capture``, ``dataset``, ``category``, ``split``, ``kind``, ``label``.

    Returns
    -------
    Dataset
        Measurements, ``valid`` (sensor, y, x) and, where known, ``defect`` (y, x).

    Raises
    ------
    SceneError
        When a promise is broken.

    Examples
    --------
    A camera that saw everything, and a scanner with one hole:

    >>> color = xr.DataArray(np.ones((3, 2, 2), "float32"), dims=("color", "y", "x"),
    ...                      coords={"color": ["red", "green", "blue"]},
    ...                      attrs={"modality": "rgb", "units": "1"})
    >>> height = xr.DataArray(np.array([[1, np.nan], [1, 1]], "float32"), dims=("y", "x"),
    ...                       attrs={"modality": "depth", "units": "mm"})
    >>> scene = new_scene({"rgb": color, "depth": height}, reference="rgb")
    >>> scene.valid.sum(["y", "x"]).to_series().to_dict()
    {'rgb': 4, 'depth': 3}
    """
    grids = dict(grids or {})
    sensors = list(frames)
    sizes = {name: (frame.sizes["y"], frame.sizes["x"]) for name, frame in frames.items()}
    if len(set(sizes.values())) != 1:
        raise SceneError(
            f"frames have the sizes {sizes}, but one size was promised; "
            "bring them onto one grid with mmdefect.registration.to_scene"
        )
    height, width = next(iter(sizes.values()))
    valid = {name: measured(frame) for name, frame in frames.items()}
    variables = {name: frame.where(valid[name]) for name, frame in frames.items()}
    scene = xr.Dataset(
        variables,
        coords={
            "sensor": sensors,
            "grid": ("sensor", [grids.get(name, reference) for name in sensors]),
            "y": np.arange(height, dtype=np.float64),
            "x": np.arange(width, dtype=np.float64),
        },
        attrs={**(attrs or {}), "reference": reference},
    )
    scene["valid"] = (("sensor", "y", "x"), np.stack([valid[name].values for name in sensors]))
    if defect is not None:
        scene["defect"] = (("y", "x"), np.asarray(defect, dtype=bool))
    return check(scene)


def check(scene: xr.Dataset) -> xr.Dataset:
    """Hold a scene to its promises.

    Parameters
    ----------
    scene : Dataset

    Returns
    -------
    Dataset
        The same object.

    Raises
    ------
    SceneError
        Naming the first promise that is broken.
    """
    for coordinate in ("sensor", "grid", "y", "x"):
        if coordinate not in scene.coords:
            raise SceneError(f"the scene has no coordinate {coordinate!r}; build it with new_scene")
    if "valid" not in scene or scene["valid"].dims != ("sensor", "y", "x"):
        raise SceneError("'valid' (sensor, y, x) was promised; build the scene with new_scene")
    if "reference" not in scene.attrs:
        raise SceneError("the attribute 'reference' was promised; build the scene with new_scene")
    if scene.attrs.get("label", "good") not in LABELS:
        raise SceneError(
            f"label {str(scene.attrs['label'])!r} was found; there are: {', '.join(LABELS)}"
        )
    valid = scene["valid"].values
    for number, name in enumerate(sensors_of(scene)):
        _check_measurement(scene, name, valid[number])
    return scene


def _check_measurement(scene: xr.Dataset, name: str, valid: np.ndarray) -> None:
    """Hold one measurement to the table of its modality, and to where it is valid (y, x)."""
    if name not in scene.data_vars:
        raise SceneError(f"sensor {name!r} is listed, but there is no variable of that name")
    frame = scene[name]
    modality = frame.attrs.get("modality")
    if modality not in PROMISES:
        raise SceneError(
            f"{name!r} has the modality {str(modality)!r}; there are: {', '.join(PROMISES)}"
        )
    promise = promise_of(modality, frame.attrs.get("units"))
    if frame.dims != promise.dims:
        raise SceneError(
            f"{name!r} has the dims {frame.dims}, but {promise.dims} was promised; transpose it"
        )
    if frame.dtype != np.float32:
        raise SceneError(f"{name!r} is {frame.dtype}, but float32 was promised; convert it")
    if frame.attrs.get("units") not in promise.units:
        raise SceneError(
            f"{name!r} is in {str(frame.attrs.get('units'))!r}, but "
            f"{' or '.join(map(repr, promise.units))} was promised; convert it where it is read"
        )
    finite = np.isfinite(frame.values)
    if not np.array_equal(finite.all(tuple(range(finite.ndim - 2))), valid):
        raise SceneError(
            f"'valid' disagrees with where {name!r} is finite; NaN exactly where not valid "
            "was promised: build the scene with new_scene"
        )


def sensors_of(scene: xr.Dataset) -> list[str]:
    """List the scene's sensors in the rig's order, absent ones included."""
    return [str(name) for name in scene.variables["sensor"].values]


def present_in(scene: xr.Dataset) -> list[str]:
    """List the sensors that measured at least one pixel."""
    anywhere = scene["valid"].any(["y", "x"]).values
    return [name for name, seen in zip(sensors_of(scene), anywhere, strict=True) if seen]


def registered_in(scene: xr.Dataset) -> list[str]:
    """List the sensors whose frame lies on the reference's grid."""
    on_reference = scene.variables["grid"].values == scene.attrs["reference"]
    return [name for name, same in zip(sensors_of(scene), on_reference, strict=True) if same]


def apart_of(scene: xr.Dataset, sensor: str) -> np.ndarray:
    """Tell which pixels of a sensor are judged apart, and so do not count in the part's score.

    Parameters
    ----------
    scene : Dataset
    sensor : str

    Returns
    -------
    bool array (y, x)
        The scene's ``apart`` (sensor, y, x), False everywhere where it has none; see
        ``mmdefect.zones``.
    """
    if "apart" not in scene:
        return np.zeros((scene.sizes["y"], scene.sizes["x"]), dtype=bool)
    apart: np.ndarray = scene["apart"].sel(sensor=sensor).values
    return apart


def crop(scene: xr.Dataset, y: slice, x: slice) -> xr.Dataset:
    """Cut a window out; pixel coordinates stay those of the whole grid.

    Parameters
    ----------
    scene : Dataset
    y, x : slice
        Pixel indices.

    Returns
    -------
    Dataset
        A view. Arithmetic between differently cropped scenes fails under
        ``xr.set_options(arithmetic_join="exact")``, which is what the coordinates are for.
    """
    return scene.isel(y=y, x=x)


def to_tensors(scene: xr.Dataset) -> dict[str, "torch.Tensor"]:
    """Give every measurement as a tensor that shares the scene's memory.

    Parameters
    ----------
    scene : Dataset

    Returns
    -------
    dict of str to Tensor (…, y, x), float32
        NaN where blind.
    """
    import torch

    return {name: torch.from_numpy(scene[name].values) for name in sensors_of(scene)}


def stack(scene: xr.Dataset, fill: float = 0.0) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Give all channels as one filled tensor, with the mask that says where it was filled.

    Parameters
    ----------
    scene : Dataset
    fill : float
        What stands where a sensor was blind.

    Returns
    -------
    Tensor (channel, y, x), float32
        The sensors' channels in the order of ``sensor``; a copy.
    Tensor (sensor, y, x), bool
        Where each sensor measured.
    """
    import torch

    planes = [frame.reshape(-1, *frame.shape[-2:]) for frame in to_tensors(scene).values()]
    stacked = torch.cat(planes)
    return (
        torch.nan_to_num(stacked, nan=fill),
        torch.from_numpy(scene["valid"].values.copy()),
    )
