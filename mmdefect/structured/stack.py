"""Stacks: the frames of one structured-light capture, and the small file that describes them.

``stack.toml`` lies beside the frames. It says which code was projected on how large a projector,
and lists the frames of every exposure in the order in which they were shown. The same file is
written with the patterns, so that a capture needs no more than frames of the patterns' names.

Whatever the file says is checked against the code before a frame is opened; names of frames cannot
leave the folder, and frames must be of one size and type.
"""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmdefect.errors import SensorError
from mmdefect.frames import naming, read_array, single_channel
from mmdefect.structured.codes import Code

DESCRIPTION = "stack.toml"
FRAMES = (".png", ".tif", ".tiff", ".bmp")
MOST_BYTES = 1 << 20
MOST_FRAME_BYTES = 1 << 26
MOST_EXPOSURES = 16
_FORMAT = 1
_KEYS = {"format", "exposures", "white"}
_CODE = {"code", "size", "axes", "periods", "steps", "gamma", "references"}


@dataclass(frozen=True)
class Stack:
    """The frames of one capture.

    Parameters
    ----------
    folder : Path
    code : Code
    exposures : tuple of tuple of str
        Names of frames below the folder, in the order of ``code.groups()``, for every exposure.
    white : int, optional
        The count at which the camera saturates; by default the largest of the frames' type.

    Raises
    ------
    SensorError
        When an exposure has not as many frames as the code.
    """

    folder: Path
    code: Code
    exposures: tuple[tuple[str, ...], ...]
    white: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is not one code shown a few times."""
        if not 0 < len(self.exposures) <= MOST_EXPOSURES:
            raise SensorError(
                f"{len(self.exposures)} exposures are listed, but 1 to {MOST_EXPOSURES} were "
                "promised; list them under [[exposures]]"
            )
        for number, names in enumerate(self.exposures):
            if len(names) != len(self.code):
                raise SensorError(
                    f"exposure {number} lists {len(names)} frames, but the code {self.code.name!r} "
                    f"shows {len(self.code)}; list every frame, in the order of the patterns"
                )

    def frames(self, exposure: int, first: int, count: int) -> NDArray[Any]:
        """Read frames.

        Parameters
        ----------
        exposure, first, count : int

        Returns
        -------
        array (frame, y, x), uint8 or uint16

        Raises
        ------
        SensorError
            When one is missing, damaged, or of another size or type than the stack's first.
        """
        rows, columns = self.shape
        frames = np.empty((count, rows, columns), self.dtype)
        for place, name in enumerate(self.exposures[exposure][first : first + count]):
            frames[place] = self._checked(name)
        return frames

    def _checked(self, name: str) -> NDArray[Any]:
        """Read one frame that is like the first."""
        frame = _read_frame(self.folder / name)
        if (frame.shape, frame.dtype) != (self.shape, self.dtype):
            first = self.exposures[0][0]
            raise SensorError(
                f"{self.folder / name}: holds {frame.dtype} of {_sized(frame.shape)}, but "
                f"{self.dtype} of {_sized(self.shape)} as in {first!r} was promised; record all "
                "frames of a stack with one setting"
            )
        return frame

    @cached_property
    def _first(self) -> NDArray[Any]:
        """The first frame."""
        return _read_frame(self.folder / self.exposures[0][0])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the camera, px."""
        rows, columns = self._first.shape
        return rows, columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """The frames' type."""
        return self._first.dtype

    @property
    def level(self) -> int:
        """The count at which the camera saturates."""
        return self.white or int(np.iinfo(self.dtype).max)

    def paths(self) -> list[Path]:
        """List every frame, in order."""
        return [self.folder / name for names in self.exposures for name in names]


def _sized(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) + " pixels"


def _read_frame(path: Path) -> NDArray[Any]:
    """Read one frame of one channel."""
    frame = read_array(path, max_bytes=MOST_FRAME_BYTES)
    with naming(path):
        frame = single_channel(frame)
        if frame.dtype not in (np.uint8, np.uint16):
            raise SensorError(
                f"holds {frame.dtype}, but 8 or 16-bit counts were promised; record them so"
            )
    return frame


def read_stack(path: str | Path) -> Stack:
    """Read a stack's description.

    Parameters
    ----------
    path : str or Path
        The file, or the folder that holds ``stack.toml``.

    Returns
    -------
    Stack

    Raises
    ------
    SensorError
        When the file is missing, no such description, or contradicts itself.
    """
    path = Path(path)
    if path.is_dir():
        path = path / DESCRIPTION
    with naming(path):
        written = _parsed(path)
        unknown = sorted(set(written) - _KEYS - _CODE)
        if unknown:
            raise SensorError(
                f"has the unknown key {unknown[0]!r}; it may hold: {', '.join(_KEYS | _CODE)}"
            )
        if written.get("format") != _FORMAT:
            raise SensorError(
                f"is of format {written.get('format')!r}, but {_FORMAT} was promised; is it "
                "a stack?"
            )
        return Stack(path.parent, _code(written), _exposures(written), _white(written))


def _parsed(path: Path) -> dict[str, Any]:
    """Parse a bounded TOML file."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise SensorError(f"is longer than {MOST_BYTES} bytes; is it a stack's description?")
        return tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise SensorError(
            f"cannot be read ({error.strerror}), but a stack's description was promised; keep "
            f"{DESCRIPTION} beside the frames"
        ) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, SensorError):
            raise
        raise SensorError(f"is not TOML ({error}); write it again") from error


def _code(written: Mapping[str, Any]) -> Code:
    """Make the code of a description."""
    size = _numbers(written, "size", int)
    if len(size) != 2:
        raise SensorError(f"size is {written.get('size')!r}, but [columns, rows] was promised")
    axes = written.get("axes", ["column"])
    if not isinstance(axes, list) or not all(isinstance(axis, str) for axis in axes):
        raise SensorError(f"axes is {axes!r}, but a list of 'column' and 'row' was promised")
    steps, gamma = written.get("steps", 8), written.get("gamma", 1.0)
    references = written.get("references", True)
    if type(steps) is not int or type(gamma) not in (int, float) or type(references) is not bool:
        raise SensorError(
            f"steps, gamma and references are {steps!r}, {gamma!r} and {references!r}, but a "
            "count, a number, and true or false were promised"
        )
    return Code(
        str(written.get("code")),
        (int(size[0]), int(size[1])),
        axes=tuple(axes),
        periods=_numbers(written, "periods", float),
        steps=steps,
        gamma=float(gamma),
        references=references,
    )


def _numbers(written: Mapping[str, Any], key: str, kind: type) -> tuple[float, ...]:
    """Fetch a list of finite numbers."""
    told = written.get(key, [])
    types = (int,) if kind is int else (int, float)
    if not isinstance(told, list) or not all(type(one) in types for one in told):
        raise SensorError(f"{key} is {told!r}, but a list of numbers was promised")
    if not all(math.isfinite(one) and abs(one) < 1e9 for one in told):
        raise SensorError(f"{key} is {told!r}, but finite numbers were promised")
    return tuple(kind(one) for one in told)


def _white(written: Mapping[str, Any]) -> int | None:
    """Fetch the count at which the camera saturates."""
    white = written.get("white")
    if white is not None and (type(white) is not int or not 1 < white < 1 << 16):
        raise SensorError(f"white is {white!r}, but a count from 2 to 65535 was promised")
    return white


def _exposures(written: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Fetch the frames' names of every exposure."""
    told = written.get("exposures", [])
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise SensorError(f"exposures is {told!r}, but [[exposures]] tables were promised")
    exposures = []
    for table in told:
        names = table.get("frames", [])
        if set(table) - {"frames"} or not isinstance(names, list):
            raise SensorError(f"an exposure holds {sorted(table)}, but frames was promised")
        exposures.append(tuple(_inside(name) for name in names))
    every = [name for names in exposures for name in names]
    if len(set(every)) < len(every):
        twice = next(name for name in every if every.count(name) > 1)
        raise SensorError(f"lists {twice!r} twice; every frame was recorded once")
    return tuple(exposures)


def _inside(name: Any) -> str:
    """Refuse a name that is no frame below the folder."""
    if not isinstance(name, str) or not name.isprintable() or "\\" in name:
        raise SensorError(f"lists the frame {name!r}, but a path below the folder was promised")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.suffix.lower() not in FRAMES:
        raise SensorError(
            f"lists the frame {name!r}, but a path below the folder that ends with one of "
            f"{', '.join(FRAMES)} was promised"
        )
    return name


def write_stack(
    folder: str | Path, code: Code, exposures: Sequence[Sequence[str]], *, white: int | None = None
) -> Stack:
    """Write a stack's description beside its frames.

    Parameters
    ----------
    folder : str or Path
    code : Code
    exposures : sequence of sequence of str
        Names of the frames of every exposure, in the order of ``code.groups()``.
    white : int, optional
        The count at which the camera saturates, where it is not its type's largest.

    Returns
    -------
    Stack
    """
    made = Stack(Path(folder), code, tuple(map(tuple, exposures)), white)
    (Path(folder) / DESCRIPTION).write_text("\n".join(_lines(made)) + "\n", encoding="utf-8")
    return made


def _lines(stack: Stack) -> Iterator[str]:
    """Write the description line by line."""
    code = stack.code
    yield "# Structured light: what was projected, and the frames in the order in which it was."
    yield f"format = {_FORMAT}"
    yield f'code = "{code.name}"'
    yield f"size = [{code.size[0]}, {code.size[1]}]  # the projector's columns and rows"
    yield f"axes = {json.dumps(code.axes)}"
    yield f"periods = {json.dumps(code.periods)}  # px of the projector, the finest first"
    yield f"steps = {code.steps}"
    yield f"gamma = {code.gamma!r}"
    yield f"references = {str(code.references).lower()}"
    if stack.white is not None:
        yield f"white = {stack.white}"
    for names in stack.exposures:
        yield ""
        yield "[[exposures]]"
        yield "frames = ["
        yield from (f"    {json.dumps(name, ensure_ascii=False)}," for name in names)
        yield "]"
