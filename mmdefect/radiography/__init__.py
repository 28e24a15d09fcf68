"""Radiographs held against the part's shape: what is left is the defect.

* In −log transmission thickness adds up, so a void is a small constant beside a large pattern that
  is nothing but the part's own shape. Where the shape is known, from CAD or from the scanner, the
  pattern can be told beforehand and taken off.
* The law from thickness to attenuation is read from the radiograph itself: a tube's spectrum is
  seldom known, beams harden, and a robust fit over a hundred thousand pixels does not feel a void.
* It happens on the panel's own grid, before anything is resampled: noise and edges are sharp there
  and nowhere else.
"""
