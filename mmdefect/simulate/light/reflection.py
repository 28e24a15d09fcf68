"""Light on a surface: how microfacets, fibres and surroundings reflect it.

* Everything is a function of unit vectors, component first, so that the colour camera and the
  scanner share one physics and tests can check it against numbers worked out by hand.
* Rough surfaces follow Trowbridge and Reitz (GGX) [1]_ in the space of slopes, where structure too
  fine for a pixel (tool marks, brushing) simply adds its covariance to the microfacets' [2]_.

References
----------
.. [1] Walter et al.: Microfacet models for refraction through rough surfaces, EGSR 2007.
.. [2] Olano, Baker: LEAN mapping, I3D 2010.
.. [3] Schlick: An inexpensive BRDF model for physically-based rendering, EG 1994.
.. [4] Heitz: Understanding the masking-shadowing function in microfacet-based BRDFs, JCGT 2014.
.. [5] Kajiya, Kay: Rendering fur with three dimensional textures, SIGGRAPH 1989.
"""

from typing import Any

import numpy as np
from scipy import ndimage

from mmdefect.simulate.raster import Map, as_map

FIBRE_WIDTH = 0.24
CAMERA_MM = 48.0
CEILING = 0.20
HORIZON = 0.07
BENCH = 0.05
_RINGS_MM = (0.6, 0.9, 1.35, 2.0, 3.0, 4.5, 6.8, 10.2)
_INNER = 0.82
_COMPASS = 8


def dot(a: Any, b: Any) -> Map:
    """Multiply vectors (3, n) with vectors (3, n) or (3,), component by component, and add up."""
    return as_map(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def unit(vectors: Any) -> tuple[Map, Map]:
    """Give vectors (3, n) at length 1, and their lengths (n,)."""
    vectors = as_map(vectors)
    length = np.sqrt(dot(vectors, vectors))
    return vectors / np.maximum(length, np.float32(1e-9)), length


def fresnel(normal_reflectance: Any, cosine: Any) -> Map:
    """Give the share of light that a surface reflects, after Schlick [3]_.

    Parameters
    ----------
    normal_reflectance : array, 1
        At normal incidence.
    cosine : array, 1
        Of the angle between light and facet.
    """
    grazing = 1 - np.clip(cosine, 0, 1)
    square = grazing * grazing
    return as_map(
        normal_reflectance + (1 - as_map(normal_reflectance)) * (square * square * grazing)
    )


def microfacets(normal: Map, half: Map, roughness: Any, spread: Any = (0.0, 0.0, 0.0)) -> Map:
    """Give the density of microfacets that face along a bisector.

    Parameters
    ----------
    normal, half : Map (3, n)
        Unit vectors; x and y are the axes that `spread` refers to.
    roughness : array (n,), 1
        Width α.
    spread : three arrays (n,), 1
        Variance along x, covariance, variance along y of slopes finer than the pixel.

    Returns
    -------
    Map (n,), 1/sr

    Notes
    -----
    D = 1 / (π √|A| (1 + tᵀ A⁻¹ t)² cos⁴θ) with A = α² I + 2 Σ; t is the slope of the bisector
    against the normal. Without Σ it is the GGX distribution [1]_.
    """
    nx, ny, nz = normal
    turn = 1 / (1 + np.maximum(nz, np.float32(-0.9)))
    cosine = np.maximum(dot(normal, half), np.float32(1e-3))
    # Tangents that turn x and y with the normal the shortest way.
    across = (1 - nx * nx * turn) * half[0] - nx * ny * turn * half[1] - nx * half[2]
    down = -nx * ny * turn * half[0] + (1 - ny * ny * turn) * half[1] - ny * half[2]
    across, down = across / cosine, down / cosine
    square = as_map(roughness) ** 2
    xx, xy, yy = square + 2 * spread[0], 2 * spread[1], square + 2 * spread[2]
    determinant = np.maximum(xx * yy - xy * xy, np.float32(1e-9))
    form = (yy * across * across - 2 * xy * across * down + xx * down * down) / determinant
    return as_map(1 / (np.pi * np.sqrt(determinant) * (1 + form) ** 2 * (cosine * cosine) ** 2))


def visibility(to_light: Any, to_eye: Any, roughness: Any) -> Map:
    """Give Smith's height-correlated masking and shadowing over 4 cos cos [4]_.

    Parameters
    ----------
    to_light, to_eye : array (n,), 1
        Cosines of the angles between the normal and light and eye.
    roughness : array (n,), 1
        Width α.
    """
    light, eye = (np.maximum(as_map(cosine), np.float32(1e-3)) for cosine in (to_light, to_eye))
    square = as_map(roughness) ** 2
    masked = eye * np.sqrt(square + (1 - square) * light * light)
    shadowed = light * np.sqrt(square + (1 - square) * eye * eye)
    return as_map(0.5 / (masked + shadowed))


def fibres(along: Map, half: Map) -> Map:
    """Give how strongly fibres along unit vectors (3, n) reflect, after Kajiya and Kay [5]_."""
    off = dot(along, half)
    return as_map(np.exp(off * off * np.float32(-0.5 / FIBRE_WIDTH**2)))


def surroundings(mirrored: Any, upwards: Any, place: Any, eye: Any, roughness: Any) -> Map:
    """Give what a surface mirrors of the room: dim ceiling, darker walls, bench, dark camera.

    Parameters
    ----------
    mirrored : array (3, n)
        Unit vectors.
    upwards : array (3,)
        Unit vector to the ceiling.
    place : array (3, n), mm
    eye : array (3,), mm
        Where the camera stands.
    roughness : array (n,), 1
        Blurs it all: to twice the facets' width.

    Returns
    -------
    Map (n,)
        Radiance; 1 is that of a white surface in full light.
    """
    up = dot(mirrored, upwards)
    soft = 0.15 + 2 * as_map(roughness)
    above = 0.5 + 0.5 * np.tanh(up / soft)
    room = BENCH + above * (HORIZON - BENCH + (CEILING - HORIZON) * np.clip(up, 0, 1))
    towards, distance = unit(as_map(eye)[:, None] - place)
    size = (np.float32(CAMERA_MM) / distance) ** 2 / 2
    width = size + 2 * as_map(roughness) ** 2
    off = 1 - dot(mirrored, towards)
    return as_map(room * (1 - 0.85 * size / width * np.exp(-off / width)))


def openness(heights: Map, pitch: float) -> Map:
    """Estimate how much of the sky each place of a height map sees.

    Parameters
    ----------
    heights : Map (y, x), mm
    pitch : float, mm
        Between values.

    Returns
    -------
    Map (y, x), 1

    Notes
    -----
    With the horizon at angle γ in each of eight directions, a level place receives the mean of
    cos² γ of a uniform sky. Heights are sampled on rings, each standing for the space since the
    ring before, and blurred the more the farther they are; in the middle of round pits that
    leaves an error below 0.15.
    """
    slopes = np.zeros((_COMPASS, *heights.shape), np.float32)
    for ring in _RINGS_MM:
        reach = ring / pitch
        if reach < 0.7 or reach > max(heights.shape):
            continue
        blurred = ndimage.gaussian_filter(heights, 0.15 * reach, mode="nearest", truncate=2.5)
        margin = int(np.ceil(reach))
        padded = np.pad(blurred, margin, mode="edge")
        for i in range(_COMPASS):
            angle = 2 * np.pi * i / _COMPASS
            down = margin + round(reach * np.sin(angle))
            right = margin + round(reach * np.cos(angle))
            rows, columns = heights.shape
            beyond = padded[down : down + rows, right : right + columns]
            np.maximum(slopes[i], (beyond - heights) / np.float32(_INNER * ring), out=slopes[i])
    return as_map(np.mean(1 / (1 + slopes * slopes), axis=0))
