"""The README's example gives what the README says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmdefect.simulate import simulate

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_prints_what_the_readme_shows(tmp_path: Path) -> None:
    code, output = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", README, re.S).groups()
    asked = {"products": ["panel"], "train": 60, "test": 40, "size": 192, "workers": 2}
    simulate(tmp_path / "demo" / "captures", **asked)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    shown = [line.split()[:2] for line in output.splitlines()]
    assert [line.split()[:2] for line in run.stdout.splitlines()] == shown


def test_every_file_the_readme_points_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (Path(__file__).resolve().parents[1] / target).exists(), target
