"""The tube's spectrum: soft rays are stopped first, so what is left gets harder with every mm.

A line at one energy would weaken aluminium evenly; a real tube does not, and a wedge of one metal
then looks like less and less of it. Five energies are enough to carry that. Their weights stand
for the whole detected spectrum: bremsstrahlung of a tungsten anode after Kramers [1]_, behind its
filter, weighted by the energy that 0.5 mm of caesium iodide takes from it. They are fitted, not
drawn, so that the effective attenuation is that of the whole spectrum: within 4 % of log
transmission at 100 kV and 2 % at 120 kV, for aluminium of 2–20 mm, steel of 2 mm, carbon fibre,
FR4, copper foil and solder.

There are no settings below 100 kV: their spectra lie below 40 keV, where the materials' table
begins.

References
----------
.. [1] Kramers: On the theory of X-ray absorption and of the continuous X-ray spectrum,
   Philosophical Magazine 46, 1923.
"""

from dataclasses import dataclass

import numpy as np

from mmdefect.simulate.body import Body, Part
from mmdefect.simulate.materials import MATERIALS
from mmdefect.simulate.raster import Map, as_map

_METALS = ("aluminium", "steel", "titanium")
_BULKY_MM3 = 5000.0


@dataclass(frozen=True)
class Spectrum:
    """What the tube sends and the panel feels.

    Parameters
    ----------
    kilovolts : int, kV
    filtration : str
        In the beam, before the part.
    weights : tuple of float, 1
        Shares of the open beam's signal at ``materials.ENERGIES_KEV``.
    """

    kilovolts: int
    filtration: str
    weights: tuple[float, ...]

    def transmission(self, depths: Map) -> Map:
        """Add the energies up.

        Parameters
        ----------
        depths : Map (n, energy), 1
            Attenuation times length, summed over what a ray runs through.

        Returns
        -------
        Map (n,), 1
            Share of the open beam's signal that comes through: Beer's law per energy.
        """
        return as_map(np.exp(-depths) @ as_map(self.weights))


SOFT = Spectrum(100, "2 mm Al + 0.2 mm Cu", (0.399, 0.393, 0.190, 0.018, 0.0))
HARD = Spectrum(120, "2 mm Al + 0.5 mm Cu", (0.126, 0.482, 0.272, 0.103, 0.017))


def spectrum_for(part: Part) -> Spectrum:
    """Choose the tube's setting as a radiographer does: hard rays for bulky metal only.

    Returns
    -------
    Spectrum
        120 kV when a flash-heated part has a body of metal of more than 5 cm³; 100 kV for
        laminates with their fasteners and for boards. A defect never changes the setting.
    """
    bulky = any(body.material in _METALS and volume(body) > _BULKY_MM3 for body in part.bodies)
    return HARD if bulky and part.excitation == "flash" else SOFT


def volume(body: Body) -> float:
    """Measure a closed mesh, mm³: the sum of its triangles' signed tetrahedra."""
    a, b, c = (body.vertices[body.triangles[:, i]].astype(np.float64) for i in range(3))
    return float(abs(np.einsum("ij,ij->", a, np.cross(b, c))) / 6)


def excess_attenuation(part: Part) -> Map:
    """Give what each body adds to the attenuation of the place that it takes.

    Returns
    -------
    Map (body, energy), 1/mm
        Its material's, less its host's: a ray's length in a host counts through its whole shape,
        the flaw inside included. Negative for a void.
    """
    rows = []
    for body in part.bodies:
        own = np.array(MATERIALS[body.material].attenuation)
        if body.host:
            own = own - np.array(MATERIALS[part.body(body.host).material].attenuation)
        rows.append(own)
    return as_map(rows)
