"""The doctor: what is in a data set, before anyone trains on it.

Captures are read one after the other and forgotten: what stays of each is a few numbers and a
signature on disk, so memory does not grow with the size of the frames and hardly with their
number. Nothing is changed and nothing is written into the data. ``docs/doctor.md`` says of every
check what it does, where its threshold lies and why.
"""

from mmdefect.doctor.examine import Examination, examine
from mmdefect.doctor.findings import DOUBTFUL, GOOD_TO_KNOW, WRONG, Finding

__all__ = ["DOUBTFUL", "GOOD_TO_KNOW", "WRONG", "Examination", "Finding", "examine"]
