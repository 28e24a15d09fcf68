"""Structured light: patterns for a projector, and organised clouds from what cameras saw of them.

* ``codes`` and ``patterns`` say what is projected; ``stack`` describes the frames of a capture.
* ``decode`` tells which place on the projector each pixel sees, and how surely.
* ``triangulate`` meets the pixel's ray with the projector's light, ``stereo`` with a second
  camera's view of the same light; ``cloud`` makes the labelled cloud of either.
"""
