"""DICOM and DICONDE: one frame of a file, in the values that its own header promises.

* pydicom parses and believes every length that it meets; here no read goes beyond the file's end,
  and what the header declares is held against the limit and the file before pixels are touched.
* Only the wanted frame is decoded. Plain pixels and lossless JPEG are read by our own code;
  other packings go to a decoder chosen by name, whose input must declare the same rows and columns
  as the header. gdcm is never asked: it may end the process over a damaged frame.
* Values leave rescaled, bits that do not belong to a pixel removed, and bright where the picture
  is bright: MONOCHROME1 is turned around within its range. A pixel of padding is NaN.
"""

from mmdefect.dicom._reading import read_dicom

__all__ = ["read_dicom"]
