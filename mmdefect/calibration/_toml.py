"""Small TOML files that people write, parsed within bounds."""

import tomllib
from pathlib import Path
from typing import Any

from mmdefect.errors import CalibrationError

_MOST_BYTES = 1 << 20


def parsed(path: Path, what: str) -> dict[str, Any]:
    """Parse a small file.

    Parameters
    ----------
    path : Path
    what : str
        What it is, for messages.

    Returns
    -------
    dict

    Raises
    ------
    CalibrationError
        When it is missing, larger than a megabyte, or no TOML.
    """
    try:
        with path.open("rb") as file:
            held = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise CalibrationError(
            f"no {what} file '{path}' ({error.strerror}); write one as docs/calibration.md shows"
        ) from error
    if len(held) > _MOST_BYTES:
        raise CalibrationError(
            f"'{path.name}' is longer than {_MOST_BYTES} bytes; is it a {what} file?"
        )
    try:
        return tomllib.loads(held.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"the {what} file '{path.name}' is not TOML: {error}") from error
