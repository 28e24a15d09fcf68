"""Arrays of several owners in one table: every key starts with its owner's name."""

from collections.abc import Mapping

import numpy as np

Tensors = dict[str, np.ndarray]


def under(name: str, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Give arrays keys that start with an owner's name.

    Parameters
    ----------
    name : str
    tensors : mapping of str to array

    Returns
    -------
    dict of str to array
        Keys ``NAME/KEY``.
    """
    return {f"{name}/{key}": array for key, array in tensors.items()}


def below(tensors: Mapping[str, np.ndarray], name: str) -> Tensors:
    """Give the arrays of one owner, under their own keys.

    Parameters
    ----------
    tensors : mapping of str to array
    name : str

    Returns
    -------
    dict of str to array
    """
    return {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}
