"""Powers of two of a float32, by arithmetic that stands side by side.

A library's exponential is called number by number from a compiled loop, which costs more than all
else that attention does. This one is a polynomial between −½ and ½ and an exponent that is added
as an integer, so that the loops it is written into use wide registers. It errs by 3e-7 of the power
at most between 2⁻¹²⁶ and 2¹²⁷; what is less than that counts nothing beside a sum.
"""

import numpy as np

from mmdefect.jit import inlined

LOG2E = 1.4426950408889634
"""Logarithm of e; times this, an exponent of e is one of 2."""
_ONE, _FAR, _ROUND, _POINT = np.float32(1), np.float32(127), np.float32(1.5 * 2**23), np.int32(23)
_C1, _C2, _C3, _C4, _C5, _C6 = (
    np.float32(np.log(2) ** k / np.prod(np.arange(1.0, k + 1))) for k in range(1, 7)
)


@inlined
def power(exponent: np.float32) -> np.float32:
    """Raise 2 to an exponent of at most 127; exactly 0 from −127 below.

    Called from compiled loops only, whatever sums these may reorder: the steps here stay in order.
    """
    held = min(max(exponent, -_FAR), _FAR)
    whole = held + _ROUND
    rest = held - (whole - _ROUND)
    fine = _C3 + rest * (_C4 + rest * (_C5 + rest * _C6))
    fine = np.float32(_ONE + rest * (_C1 + rest * (_C2 + rest * fine)))
    point = np.int32(np.float32(whole).view(np.int32) << _POINT)
    return np.float32(np.int32(fine.view(np.int32) + point).view(np.float32))
