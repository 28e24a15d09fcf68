"""From moments to multivariate normal distributions that few parts can support.

* The covariance of a place is drawn towards that of all places as if one part more had shown it,
  so that one good part is enough to score by.
* Correlations are shrunk by the oracle-approximating rule [1]_: as few parts as features make a
  covariance without an inverse, and the rule says how much of it to believe.

References
----------
.. [1] Chen, Wiesel, Eldar, Hero: Shrinkage algorithms for MMSE covariance estimation, IEEE
   Transactions on Signal Processing 58, 2010.
"""

import numpy as np
from numpy.typing import NDArray

from mmdefect.detectors._moments import Array, Moments

_PRIOR_PARTS = 1.0
_LEAST_SPREAD = 0.01


def shrinkage(correlation: Array, freedom: Array) -> Array:
    """Say how far correlations are drawn towards none.

    Parameters
    ----------
    correlation : float64 array (block, feature, feature)
    freedom : float64 array (block,)
        Degrees of freedom they rest on.

    Returns
    -------
    float64 array (block,)
        From 0 (believed as they are) to 1 (not at all).
    """
    size = correlation.shape[1]
    square = np.einsum("bij,bji->b", correlation, correlation)
    trace = np.einsum("bii->b", correlation)
    above = (1 - 2 / size) * square + trace**2
    below = (freedom + 1 - 2 / size) * (square - trace**2 / size)
    share: Array = np.clip(above / np.maximum(below, 1e-12), 0.0, 1.0)
    return share


def whitening(moments: Moments) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give what turns a patch into independent deviates of unit spread.

    Parameters
    ----------
    moments : Moments

    Returns
    -------
    mean : float32 array (group, feature)
        A group without a row has the mean of all.
    factor : float32 array (block, feature, feature)
        Deviates of a row x are ``factor @ (x − mean)``.
    """
    usual, covariance = moments.level
    mean = np.where(moments.counts[:, None] > 0, moments.mean, usual)
    freedom = moments.freedom
    blocks = (moments.scatter + _PRIOR_PARTS * covariance) / (freedom + _PRIOR_PARTS)[:, None, None]
    spread = np.sqrt(np.diag(covariance))
    spread = np.where(spread > 0, spread, 1.0)
    own = np.sqrt(np.maximum(np.einsum("bii->bi", blocks), (_LEAST_SPREAD * spread) ** 2))
    correlation = blocks / (own[:, :, None] * own[:, None, :])
    kept = 1 - shrinkage(correlation, freedom)
    correlation *= kept[:, None, None]
    diagonal = np.arange(correlation.shape[1])
    correlation[:, diagonal, diagonal] = 1.0
    root = np.linalg.cholesky(correlation + 1e-9 * np.eye(len(diagonal)))
    factor = np.linalg.inv(root) / own[:, None, :]
    return mean.astype(np.float32), factor.astype(np.float32)
