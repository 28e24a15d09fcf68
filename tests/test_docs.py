"""The commands that the documents show are commands that there are."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from mmdefect.cli import COMMANDS, app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def commands(page: Path) -> list[list[str]]:
    """Give the words of every command in a page's blocks, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
    shown = "\n".join(body for language, body in blocks if language not in ("toml", "python"))
    lines = re.findall(r"^(?:\$ )?(?:\S*/)?(mmdefect (?:[^\n\\]|\\\n)*)", shown, re.M)
    return [shlex.split(line.replace("\\\n", " "), comments=True)[1:] for line in lines]


def named(words: list[str]):
    """Give the command that words begin with, or the sub-command."""
    known = get_command(app).commands
    assert words[0] in known, words
    command = known[words[0]]
    if not hasattr(command, "commands"):
        return command
    assert words[1] in command.commands, words
    return command.commands[words[1]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_shown_command_has_the_options_it_is_shown_with(page):
    for words in commands(page):
        options = {name for parameter in named(words).params for name in parameter.opts}
        shown = {word.strip("[]").partition("=")[0] for word in words if "--" in word[:3]}
        assert shown <= options | {"--help"}, words


def test_the_readme_names_every_command():
    shown = {words[0] for words in commands(ROOT / "README.md")}
    assert set(COMMANDS) <= shown


def test_the_steps_of_the_folder_card_parse_as_they_stand():
    """Every command of the walk-through is taken by its parser, arguments and all."""
    walked = commands(ROOT / "docs" / "own-data.md")
    assert {words[0] for words in walked} >= {"evaluate", "fit", "inspect", "update", "undo"}
    for words in walked:
        command = get_command(app).commands[words[0]]
        command.make_context(words[0], words[1:])
