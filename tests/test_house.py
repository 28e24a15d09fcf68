"""The rules of the house, held by reading the source."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mmdefect
from mmdefect.registry import KINDS, names

ROOT = Path(__file__).resolve().parents[1]
WINGS = ("sensors", "fusion")
FLOORS = {
    "contracts": 1,
    "errors": 1,
    "evidence": 0,
    "familiar": 6,
    "jit": 1,
    "layout": 1,
    "light": 1,
    "prediction": 1,
    "progress": 1,
    "referral": 0,
    "settings": 1,
    "spill": 1,
    "verdict": 1,
    "usual": 1,
    "alignment": 2,
    "arrays": 2,
    "assign": 2,
    "boxes": 2,
    "bags": 3,
    "card_toml": 2,
    "coded": 2,
    "division": 2,
    "explain": 8,
    "good_parts": 2,
    "journal": 2,
    "keyed": 1,
    "plane": 1,
    "whole": 1,
    "ljpeg": 2,
    "lzf": 2,
    "mesh_files": 2,
    "pod": 2,
    "registry": 2,
    "scene": 2,
    "work": 2,
    "zone_table": 2,
    "clouds": 3,
    "defect_sizes": 3,
    "dicom": 3,
    "geometry": 3,
    "hdf5": 3,
    "images": 3,
    "learnable": 3,
    "metrics": 3,
    "regions": 3,
    "registration": 3,
    "tomography": 4,
    "report": 3,
    "thermography": 3,
    "truth": 3,
    "cards": 4,
    "features": 4,
    "frames": 4,
    "panel": 4,
    "records": 4,
    "captures": 5,
    "card_text": 5,
    "detectors": 5,
    "flir": 5,
    "miniature": 5,
    "published": 5,
    "radiography": 5,
    "rigging": 5,
    "packed": 5,
    "store": 5,
    "structured": 5,
    "zones": 5,
    "calibration": 6,
    "capture_notes": 6,
    "peaks": 6,
    "propose": 6,
    "provenance": 6,
    "reading": 6,
    "simulate": 6,
    "building": 7,
    "cache": 7,
    "judging": 7,
    "calibrating": 8,
    "signs": 7,
    "model": 7,
    "repeatability": 2,
    "results": 7,
    "withheld": 2,
    "reliability": 8,
    "acquire": 9,
    "ahead": 8,
    "capture_scenes": 9,
    "inspection": 9,
    "judged": 11,
    "hands": 12,
    "dataset": 10,
    "description": 10,
    "marked": 10,
    "viewer": 10,
    "doctor": 11,
    "learning": 11,
    "line": 11,
    "few": 12,
    "fitting": 12,
    "reasons": 12,
    "showing": 12,
    "trial": 12,
    "update": 12,
    "watch": 12,
    "report_pages": 12,
    "weighing": 7,
    "evaluate": 13,
    "ablation": 14,
    "cli": 15,
}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> list[str]:
    """Absolute names of everything a module imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append("." * node.level + (node.module or ""))
    return found


@pytest.mark.parametrize("path", [p for wing in WINGS for p in modules(wing)], ids=str)
def test_a_wing_imports_the_core_and_its_neighbours_only(path: Path) -> None:
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] not in WINGS, f"{path.name} imports {name} across the mapping"
        assert not (parts[0] == "mmdefect" and parts[1:2] and parts[1] in WINGS), name
        assert not name.startswith(".."), f"{path.name} climbs out of its wing: {name}"


@pytest.mark.parametrize("path", modules("mmdefect"), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_core_never_imports_a_wing(path: Path) -> None:
    for name in imports(path):
        parts = name.split(".")
        assert parts[0] not in WINGS
        assert not (parts[0] == "mmdefect" and parts[1:2] and parts[1] in WINGS), (
            f"{path.name} imports {name}; wings are reached by load(kind, name)"
        )


@pytest.mark.parametrize("path", modules("mmdefect"), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_from_lower_floors_only(path: Path) -> None:
    room = path.relative_to(ROOT / "mmdefect").parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    assert room in FLOORS, f"room {room!r} stands on no floor; add it to the plan"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "mmdefect" and len(parts) > 1 and parts[1] != room:
            assert FLOORS[parts[1]] < FLOORS[room], f"{room} imports {parts[1]} from above"


def test_the_folder_of_cards_holds_no_python() -> None:
    assert not list((ROOT / "datasets").rglob("*.py"))


def test_every_folder_of_modules_is_packaged() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {p.parent.relative_to(ROOT) for f in ("mmdefect", *WINGS) for p in modules(f)}
    packages = {".".join(f.parts) for f in folders}
    packages = {p if p.startswith("mmdefect") else f"mmdefect.{p}" for p in packages}
    assert packages | {"mmdefect.datasets"} == set(told)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plug_in_names_exactly_one_maker(kind: str) -> None:
    folder = ROOT / kind if kind in WINGS else ROOT / "mmdefect" / kind
    for name in names(kind):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        told = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
        ]
        assert len(told) == 1, f"{kind}/{name} has no __all__"
        assert len(told[0]) == 1, f"{kind}/{name} names {told[0]}"


def modules_after(code: str) -> set[str]:
    """Names of the modules a fresh interpreter holds after running some code."""
    listed = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(listed.stdout.split())


HEAVY = {"numpy", "xarray", "torch", "open3d", "timm", "sklearn", "scipy", "h5py", "PIL", "numba"}


def test_the_door_imports_nothing_heavy() -> None:
    assert not modules_after("import mmdefect") & HEAVY


def test_the_command_lines_help_imports_nothing_heavy() -> None:
    held = modules_after(
        "from typer.testing import CliRunner; from mmdefect.cli import app; "
        "assert CliRunner().invoke(app, ['evaluate', '--help']).exit_code == 0"
    )
    assert not held & HEAVY


def test_every_public_name_is_there() -> None:
    assert mmdefect.__all__ == sorted(mmdefect.__all__)
    for name in mmdefect.__all__:
        assert getattr(mmdefect, name) is not None
    with pytest.raises(AttributeError, match="sonar"):
        _ = mmdefect.sonar


@pytest.mark.parametrize(
    "path", [p for f in ("mmdefect", *WINGS) for p in modules(f)], ids=lambda p: str(p.name)
)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 350, f"{path.name} has {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node, clean=False) or ""
            lines = node.end_lineno - node.lineno - docstring.count("\n")
            assert lines <= 60, f"{path.name}:{node.name} has {lines} lines"


@pytest.mark.parametrize("path", [p for f in ("mmdefect", *WINGS) for p in modules(f)], ids=str)
def test_every_module_says_why_it_is_there(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
