"""The viewer: captures in one HTML file that opens offline, with every number under the pointer.

Whoever scraps a part must be able to look: at what each sensor saw, in its own units, at what was
held against the part there, and at what a different threshold would have said.
"""

from mmdefect.viewer.beside import GoodParts
from mmdefect.viewer.capture import MOST_BYTES, Packed, pack_capture
from mmdefect.viewer.page import Link, page_of
from mmdefect.viewer.view import (
    View,
    good_parts,
    good_scores,
    made_with,
    packed_scene,
    view,
    write_pieces,
)

__all__ = [
    "MOST_BYTES",
    "GoodParts",
    "Link",
    "Packed",
    "View",
    "good_parts",
    "good_scores",
    "made_with",
    "pack_capture",
    "packed_scene",
    "page_of",
    "view",
    "write_pieces",
]
