"""Radiometric JPEGs of FLIR cameras: what the detector counted, not what the screen showed.

* The picture in such a file is false colour. The measurement lies beside it, in segments that
  picture viewers skip: counts, the camera's Planck constants, and what the operator entered about
  the scene.
* No maker's documentation is public. The layout is the one that ExifTool's tables give [1]_, and
  the radiometry the one that users of these cameras agree on [2]_; both are held against
  independent decoders in the tests.
* What the operator entered is often wrong or left at its default, so every value of the scene can
  be overridden; the counts and constants cannot.

References
----------
.. [1] Harvey: ExifTool, FLIR tags, https://exiftool.org/TagNames/FLIR.html.
.. [2] Tattersall: Thermimage, an R package for thermal image analysis, function raw2temp, 2017.
"""

from mmdefect.flir.camera import Scene
from mmdefect.flir.reading import Thermogram, read_flir, visible

__all__ = ["Scene", "Thermogram", "read_flir", "visible"]
