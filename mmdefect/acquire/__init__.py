"""From cameras to captures: the part of the program that talks to hardware.

* `pixels` and `scan3d` turn what a camera sends into arrays in known units: pure functions.
* `gentl` (GenICam, through harvesters) and `gige` (GigE Vision, through Aravis) talk to cameras;
  both give a `Frame`, or say `Damaged`: a frame that lost a part is counted and never used.
* `grouping` brings the frames of several cameras together into captures: pure bookkeeping.
* `setup` reads which camera is which sensor; `session` runs them; `recording` writes a data set.

Nothing here is imported unless a rig is asked for: the drivers are in the extra ``rig``.
"""
