"""Stacks of patterns as views: their white frame shows the target, their code the projector."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.calibration.projector import projector_sighting
from mmdefect.calibration.sighting import Sighting, sight
from mmdefect.calibration.target import Target
from mmdefect.errors import CalibrationError
from mmdefect.registration import Camera, Pose
from mmdefect.structured.decode import decode_files
from mmdefect.structured.stack import Stack, read_stack

AXES = ("column", "row")


def sight_stack(folder: Path, target: Target) -> Sighting | None:
    """Find a target in a stack.

    Parameters
    ----------
    folder : Path
        With ``stack.toml``.
    target : Target

    Returns
    -------
    Sighting or None
        In the white frame of the first exposure that shows it; without one, in the frames' mean.

    Raises
    ------
    SensorError
        When the stack is not as described.
    CalibrationError
        When its code does not tell both columns and rows.
    """
    stack = read_stack(folder)
    if set(stack.code.axes) != set(AXES):
        raise CalibrationError(
            f"{folder}: the patterns tell the projector's {', '.join(stack.code.axes)} only; "
            "project columns and rows to calibrate it"
        )
    for exposure in range(len(stack.exposures)):
        found = sight(_lit(stack, exposure), target)
        if found is not None:
            return found
    return None


def _lit(stack: Stack, exposure: int) -> NDArray[Any]:
    """Give a frame (y, x) of evenly lit parts."""
    if stack.code.references:
        white: NDArray[Any] = stack.frames(exposure, 0, 1)[0]
        return white
    total = np.zeros(stack.shape)
    for number in range(len(stack.code)):
        total += stack.frames(exposure, number, 1)[0]
    return np.asarray(total / len(stack.code))


def projector_views(
    stacks: Mapping[str, Mapping[str, Path]], sightings: Mapping[str, Mapping[str, Sighting]],
    cameras: Mapping[str, Camera], poses: Mapping[str, Mapping[str, Pose]], target: Target,
) -> dict[str, Sighting]:  # fmt: skip
    """Find a projector's picture of the target in every view.

    Parameters
    ----------
    stacks : mapping of str to mapping of str to Path
        Folders, by camera and view.
    sightings : mapping of str to mapping of str to Sighting
    cameras : mapping of str to Camera
    poses : mapping of str to mapping of str to Pose
        The target's in the cameras' frames; a view without one is left out.
    target : Target

    Returns
    -------
    dict of str to Sighting
        By view; where several cameras recorded a stack, the mean of what they saw.

    Raises
    ------
    SensorError
        When a stack is not as described.
    """
    found: dict[str, list[Sighting]] = {}
    for camera, views in stacks.items():
        for view, folder in views.items():
            if view not in poses.get(camera, {}) or view not in sightings.get(camera, {}):
                continue
            stack = read_stack(folder)
            decoded = decode_files(stack)
            places = np.stack([decoded.places[axis] for axis in AXES])
            places[:, ~decoded.valid] = np.nan
            one = projector_sighting(
                places, sightings[camera][view], target, stack.code.size[::-1],
                camera=cameras[camera], pose=poses[camera][view],
            )  # fmt: skip
            if one is not None:
                found.setdefault(view, []).append(one)
    return {view: _mean(several) for view, several in sorted(found.items())}


def _mean(several: Sequence[Sighting]) -> Sighting:
    """Give the mean of what several cameras saw of one projection."""
    if len(several) == 1:
        return several[0]
    every = np.concatenate([one.numbers for one in several])
    pixels = np.concatenate([one.pixels for one in several])
    numbers, places, counts = np.unique(every, return_inverse=True, return_counts=True)
    total = np.zeros((len(numbers), 2))
    np.add.at(total, places, pixels)
    return Sighting(numbers, total / counts[:, None], several[0].size, centres=True)
