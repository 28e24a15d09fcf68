"""Geometry of organised point clouds: what lies near a point is found on the grid.

* A scanner's rows and columns say which points are neighbours: no tree is built or searched.
* Lengths are those of the cloud, mm where its unit is mm; nothing here guesses a unit.
* A missing point is NaN in all three coordinates and takes part in nothing: it is no neighbour,
  no zero and no flat place.
* Modules are imported one by one; those with compiled loops load numba, the others do not.
"""
