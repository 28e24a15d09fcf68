"""One page around packed captures: no server, no network, no file beside it.

Its content-security policy forbids every request and names its one script and its one sheet of
style by their hashes: what a capture's name may smuggle in is not run, and a page that was mailed
tells nobody that it was opened.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mmdefect import __version__
from mmdefect.report.colors import COLOR_MAPS
from mmdefect.viewer.capture import Packed

_SCRIPTS = ("decode.js", "panes.js", "cloud.js", "verdict.js", "page.js", "beside.js", "told.js")
_MARK = "@@{}@@"


class Link(NamedTuple):
    """Where a page of one capture leads: an address relative to it, and words."""

    address: str
    words: str


def page_of(
    captures: Iterable[Packed],
    title: str,
    links: dict[str, Link] | None = None,
    made: str = "",
) -> Iterator[str]:
    """Write a page, piece by piece.

    Parameters
    ----------
    captures : iterable of Packed
        From ``pack_capture``; taken one at a time.
    title : str
    links : dict of str to Link, optional
        ``previous``, ``next`` and ``up``: pages beside this one.
    made : str
        What it was made with, for the footer.

    Yields
    ------
    str
    """
    style, script = _beside("page.css"), _script()
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    told = {
        "title": title,
        "made": made,
        "links": {name: link._asdict() for name, link in (links or {}).items()},
        "colors": {name: [int(v) for v in table.ravel()] for name, table in COLOR_MAPS.items()},
        "mmdefect": __version__,
    }
    before, after = _beside("page.html").split(_MARK.format("captures"))
    for name, text in (("policy", policy), ("style", style)):
        before = before.replace(_MARK.format(name), text)
    yield before
    yield _block("page", json.dumps(told, separators=(",", ":")))
    heads = []
    for number, packed in enumerate(captures):
        heads.append(packed.head)
        yield _block(f"capture-{number}", packed.text)
    yield _block("heads", json.dumps(heads, separators=(",", ":")))
    yield after.replace(_MARK.format("script"), script)


def _block(name: str, text: str) -> str:
    """Put JSON where the script finds it and no browser runs it."""
    safe = text.encode("utf-8", "replace").decode("utf-8").replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{safe}</script>\n'


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _script() -> str:
    """Join the scripts to one that leaves no name behind."""
    bodies = "\n".join(_beside(name) for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{bodies}}})();\n'


@cache
def _beside(name: str) -> str:
    """Read a file that lies beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
