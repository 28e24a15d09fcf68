"""A patch beside the good patch it is held against, as two small pictures of one colour scale.

That a patch is nine times the usual distance from *good part 012 at x 40* convinces nobody who
cannot see both. The model keeps no frames, so the good part is read again, from where the captures
that it learnt from lie; one that is not there, or is not what was learnt, gives no picture.

Shown is what the features are given: temperature less the part's median, height above its plane,
attenuation, so that a warmer hall or a tilted fixture does not hide what differs.
"""

import base64
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mmdefect.captures import Capture
from mmdefect.evidence import Match
from mmdefect.features._contrast import contrast_of
from mmdefect.model import Origin
from mmdefect.report.colors import COLOR_MAPS
from mmdefect.scene import present_in

Planes = NDArray[np.float32]
Row = dict[str, Any]

SIDE = 48
"""Pixels along a side of what is shown around a patch."""
_KEPT = 4
_CLIPPED = (1, 99)
_BLIND = (95, 95, 95)
_MAPS = {"points": "height", "depth": "height", "infrared": "temperature", "xray": "transmission"}


class Reader(Protocol):
    """What reads captures: a data set."""

    def captures(self, category: str) -> Sequence[Capture]:
        """List the captures of a kind of part."""
        ...

    def scene(self, capture: Capture) -> xr.Dataset:
        """Read a capture."""
        ...

    def parts(self, captures: Iterable[Capture]) -> list[list[str]]:
        """Give the hashes of every capture's frames."""
        ...


class GoodParts:
    """The good parts that a model learnt from, found again by name and content.

    Parameters
    ----------
    reader : Reader
        Of the folder that they lie in.
    origin : Origin
        What the model knows of them.
    """

    def __init__(self, reader: Reader, origin: Origin) -> None:
        self._reader = reader
        self._learnt = {frozenset(part) for part in origin.fit}
        self._captures = {one.id: one for one in reader.captures(origin.category)}
        self._scenes: OrderedDict[str, xr.Dataset | None] = OrderedDict()

    def scene(self, name: str) -> xr.Dataset | None:
        """Read a good part.

        Parameters
        ----------
        name : str
            Its capture.

        Returns
        -------
        Dataset or None
            None where there is no such capture, or another one under its name.
        """
        if name not in self._scenes:
            self._scenes[name] = self._read(name)
            if len(self._scenes) > _KEPT:
                self._scenes.popitem(last=False)
        return self._scenes[name]

    def _read(self, name: str) -> xr.Dataset | None:
        capture = self._captures.get(name)
        if capture is None or frozenset(self._reader.parts([capture])[0]) not in self._learnt:
            return None
        return self._reader.scene(capture)


def beside(scene: xr.Dataset, match: Match, good: GoodParts) -> Row | None:
    """Show a patch beside its nearest good one.

    Parameters
    ----------
    scene : Dataset
    match : Match
        Of a patch of this scene.
    good : GoodParts

    Returns
    -------
    dict or None
        ``own`` and ``good``, each a ``picture`` (PNG in base64) and the ``patch`` in it (left, top,
        width, height as shares of the picture), ``capture``, ``quantity``, ``unit``, and for what
        has a scale ``colors`` and ``ends``, the values of the first and the last colour, which span
        what is near both patches. None where the good part cannot be shown.
    """
    best = match.nearest[0]
    other = good.scene(best.capture) if best.capture and np.isfinite(best.x) else None
    if other is None or match.sensor not in present_in(other):
        return None
    frame = scene[match.sensor]
    own, own_patch = _cut(frame, match.y, match.x, match.side)
    theirs, their_patch = _cut(other[match.sensor], best.y, best.x, match.side)
    told: Row = {"capture": best.capture, **_quantity(frame)}
    if frame.attrs["modality"] == "rgb":
        pictures = [_photo(own), _photo(theirs)]
    else:
        near = [_near(own[0], own_patch), _near(theirs[0], their_patch)]
        ends = _ends(near)
        told["colors"] = _MAPS[frame.attrs["modality"]]
        told["ends"] = ends[::-1] if told["quantity"] == "attenuation" else ends  # dark is more
        table = COLOR_MAPS[told["colors"]]
        pictures = [_painted(planes[0], told["ends"], table) for planes in (own, theirs)]
    for name, picture, patch in zip(
        ("own", "good"), pictures, (own_patch, their_patch), strict=True
    ):
        told[name] = {"picture": picture, "patch": patch}
    return told


def _cut(frame: xr.DataArray, y: float, x: float, side: float) -> tuple[Planes, list[float]]:
    """Cut out what lies around a patch; the patch's left, top, width and height as shares of it."""
    planes = contrast_of(frame)[0].numpy()
    height, width = planes.shape[-2:]
    rows, columns = min(SIDE, height), min(SIDE, width)
    top = int(np.clip(round(y - rows / 2), 0, height - rows))
    left = int(np.clip(round(x - columns / 2), 0, width - columns))
    cut = planes[:, top : top + rows, left : left + columns]
    corner = [(x + 0.5 - side / 2 - left) / columns, (y + 0.5 - side / 2 - top) / rows]
    return cut, [round(share, 4) for share in (*corner, side / columns, side / rows)]


def _near(plane: Planes, patch: Sequence[float]) -> Planes:
    """Give what lies within a quarter of the picture of a patch: a far edge sets no colours."""
    rows, columns = plane.shape
    x, y = (patch[0] + patch[2] / 2) * columns, (patch[1] + patch[3] / 2) * rows
    far = SIDE // 4
    top, left = max(0, round(y) - far), max(0, round(x) - far)
    return plane[top : round(y) + far, left : round(x) + far]


def _quantity(frame: xr.DataArray) -> Row:
    """Say what is shown of a frame, and in which unit."""
    modality, unit = str(frame.attrs["modality"]), str(frame.attrs["units"])
    quantity = str(frame.attrs.get("quantity", "transmission"))
    if "channel" in frame.dims:
        first = (str(frame[name].values[0]) for name in ("channel", "channel_unit"))
        return {"quantity": f"{next(first)} less its part's median", "unit": next(first)}
    return {
        "rgb": {"quantity": "colour", "unit": ""},
        "points": {"quantity": "height above its part's plane", "unit": unit},
        "depth": {"quantity": "height above its part's plane", "unit": unit},
        "infrared": {"quantity": "temperature less its part's median", "unit": unit},
        "xray": {"quantity": "attenuation", "unit": ""}
        if unit == "1" and quantity == "transmission"
        else {"quantity": quantity, "unit": unit},
    }[modality]


def _ends(planes: Sequence[Planes]) -> tuple[float, float]:
    """Give the values of the first and the last colour, shared by two pictures."""
    values = np.concatenate([plane[np.isfinite(plane)] for plane in planes])
    low, high = np.percentile(values, _CLIPPED).tolist() if values.size else (0.0, 0.0)
    return low, high if high > low else low + 1.0


def _painted(plane: Planes, ends: tuple[float, float], table: NDArray[np.uint8]) -> str:
    """Paint a plane in the colours of a table; grey where blind."""
    from PIL import Image

    last = len(table) - 1
    share = np.clip((np.nan_to_num(plane) - ends[0]) / (ends[1] - ends[0]), 0, 1)
    levels = np.where(np.isfinite(plane), np.round(share * last), last + 1)
    image = Image.fromarray(levels.astype(np.uint8), mode="P")
    image.putpalette([*table.ravel().tolist(), *_BLIND])
    return _png(image)


def _photo(planes: Planes) -> str:
    """Give red, green and blue (3, y, x) of 0 to 1 as a picture."""
    from PIL import Image

    counts = np.round(np.nan_to_num(planes).clip(0, 1) * 255).astype(np.uint8)
    return _png(Image.fromarray(np.moveaxis(counts, 0, -1)))


def _png(image: Any) -> str:
    stream = BytesIO()
    image.save(stream, "png", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")
