"""The examples in docstrings give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import mmdefect


def modules() -> list[str]:
    rooms = pkgutil.walk_packages(mmdefect.__path__, "mmdefect.")
    wings = [
        f"mmdefect.{wing}.{found.name}"
        for wing in ("sensors", "fusion")
        for found in pkgutil.iter_modules(importlib.import_module(f"mmdefect.{wing}").__path__)
    ]
    return sorted({*(room.name for room in rooms), *wings} - {"mmdefect.__main__"})


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_in_core_and_wings() -> None:
    finder = doctest.DocTestFinder()
    shown = [
        name
        for name in modules()
        if any(test.examples for test in finder.find(importlib.import_module(name)))
    ]
    assert {"mmdefect.registry", "mmdefect.scene", "mmdefect.verdict"} <= set(shown)
