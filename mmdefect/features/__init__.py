"""Patch features, and how they are named.

A *spec* names an extractor with everything that shapes its features, so that a result can say in
one text what it was made with::

    builtin
    fpfh?radius=3
    surface?scales=1,3
    deviation@part.stl?align=1
    timm:mobilenetv2_100
    timm:mobilenetv2_100@weights.safetensors?pad_type=same&mean=0.5&std=0.5&stages=2,3
"""

import ast
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from mmdefect.contracts import FeatureExtractor
from mmdefect.errors import FeatureError
from mmdefect.registry import load

__all__ = ["extractor", "parse_spec", "weights_file", "with_weights"]


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Take a spec apart.

    Parameters
    ----------
    spec : str
        ``NAME[:MODEL][@FILE][?OPTION=VALUE&…]``.

    Returns
    -------
    str
        The extractor's name.
    dict
        Its arguments; values that read as Python literals become numbers, tuples or booleans.

    Raises
    ------
    FeatureError
        When the spec cannot be read.

    Examples
    --------
    >>> parse_spec("timm:resnet18?stages=2,3&size=256")
    ('timm', {'model': 'resnet18', 'stages': (2, 3), 'size': 256})
    """
    head, _, query = spec.partition("?")
    head, _, weights = head.partition("@")
    name, _, model = head.partition(":")
    options: dict[str, Any] = {}
    if model:
        options["model"] = model
    if weights:
        options["weights"] = weights
    pairs = _pairs(query)
    if not all(key and value for key, value in pairs) or bool(query) != bool(pairs):
        raise FeatureError(
            f"the features {spec!r} were given; NAME[:MODEL][@FILE][?OPTION=VALUE&...] was promised"
        )
    return name, options | {key: _literal(value) for key, value in pairs}


def _pairs(query: str) -> list[tuple[str, str]]:
    """Take OPTION=VALUE&… apart; nothing, when that cannot be done."""
    try:
        # a plus is a plus here (1e+3), not the space of a web form
        return parse_qsl(query.replace("+", "%2B"), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return []


def _literal(text: str) -> Any:
    """Read a number, a tuple or a boolean; leave other text as it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def extractor(spec: str) -> FeatureExtractor:
    """Make the extractor that a spec names.

    Parameters
    ----------
    spec : str

    Returns
    -------
    FeatureExtractor

    Raises
    ------
    FeatureError
        When the spec cannot be read, or names an option that the extractor does not have.
    UnknownNameError
        When no extractor goes by the name.
    """
    name, options = parse_spec(spec)
    try:
        made: FeatureExtractor = load("features", name)(**options)
    except TypeError as error:
        raise FeatureError(f"the features {spec!r} cannot be made: {error}") from error
    return made


def weights_file(spec: str) -> Path | None:
    """Find the file of weights that a spec's features need.

    Parameters
    ----------
    spec : str

    Returns
    -------
    Path or None
        None for features without weights.

    Raises
    ------
    FeatureError
        When the spec cannot be read, or its weights cannot be had.
    """
    find = getattr(extractor(spec), "weights_file", None)
    return None if find is None else find()


def with_weights(spec: str, file: str) -> str:
    """Name the same features with their weights in another file.

    Parameters
    ----------
    spec : str
    file : str
        The file's path.

    Returns
    -------
    str

    Raises
    ------
    FeatureError
        When the path holds a question mark, which begins the options of a spec.

    Examples
    --------
    >>> with_weights("timm:resnet18?stages=2,3", "weights/a.safetensors")
    'timm:resnet18@weights/a.safetensors?stages=2,3'
    """
    if "?" in file:
        raise FeatureError(f"the path '{file}' holds a question mark; rename its folder")
    head, mark, query = spec.partition("?")
    return head.partition("@")[0] + f"@{file}" + mark + query
