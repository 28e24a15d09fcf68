"""Files that hold many frames: which one is the measurement.

A stack from an area detector or a camera's recording is one file; a capture needs one frame of
it. None is chosen silently: of a stack without a ``frame`` in the card no reader takes the first.
"""

from mmdefect.errors import CardError

SCANS = (".h5", ".hdf5", ".nxs", ".nc")
ZIVID = ".zdf"
DICOM = (".dcm", ".dicom", ".dic")
_MOST_FRAMES = 1_000_000


def check_frame(frame: object) -> int | None:
    """Refuse what does not choose a frame.

    Parameters
    ----------
    frame : object
        Which frame of a file that holds several, counted from 0.

    Returns
    -------
    int or None

    Raises
    ------
    CardError
        When it is neither a count nor None.
    """
    if frame is None or (type(frame) is int and 0 <= frame < _MOST_FRAMES):
        return frame
    raise CardError(
        f"frame is {frame!r}, but a count from 0 was promised, which chooses one of the frames in "
        "a file; correct the card"
    )
