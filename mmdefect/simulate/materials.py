"""What the parts are made of: how materials weaken X-rays and conduct heat.

Linear attenuation at five energies, densities' products with specific heat, conductivities:
handbook values at room temperature; attenuation after the NIST tables of mass attenuation [1]_.

References
----------
.. [1] Hubbell, Seltzer: Tables of X-ray mass attenuation coefficients, NISTIR 5632.
"""

from dataclasses import dataclass

import numpy as np

ENERGIES_KEV = (40.0, 60.0, 80.0, 100.0, 120.0)


@dataclass(frozen=True)
class Material:
    """A material's response to X-rays and heat.

    Parameters
    ----------
    attenuation : tuple of float, 1/mm
        Linear attenuation at ``ENERGIES_KEV``.
    conductivity : float, W/(m K)
        Through the thickness.
    heat_capacity : float, J/(m³ K)
        Density times specific heat.
    """

    attenuation: tuple[float, ...]
    conductivity: float
    heat_capacity: float

    @property
    def effusivity(self) -> float:
        """Thermal effusivity, J/(m² K √s)."""
        return float(np.sqrt(self.conductivity * self.heat_capacity))

    @property
    def diffusivity(self) -> float:
        """Thermal diffusivity, m²/s."""
        return self.conductivity / self.heat_capacity


MATERIALS: dict[str, Material] = {
    "air": Material((0.0, 0.0, 0.0, 0.0, 0.0), 0.026, 1.2e3),
    "aluminium": Material((0.154, 0.0750, 0.0545, 0.0460, 0.0414), 167.0, 2.42e6),
    "steel": Material((2.86, 0.948, 0.468, 0.293, 0.212), 45.0, 3.7e6),
    "titanium": Material((0.99, 0.345, 0.183, 0.123, 0.0945), 7.0, 2.35e6),
    "copper": Material((4.36, 1.43, 0.684, 0.411, 0.286), 390.0, 3.45e6),
    "solder": Material((14.2, 4.81, 2.22, 1.23, 0.769), 58.0, 1.7e6),
    "cfrp": Material((0.0332, 0.0278, 0.0255, 0.0240, 0.0228), 0.67, 1550.0 * 930.0),
    "fr4": Material((0.0891, 0.0476, 0.0363, 0.0315, 0.0287), 0.3, 1.85e6),
    "epoxy": Material((0.0275, 0.0227, 0.0208, 0.0195, 0.0185), 0.2, 1.4e6),
    "abs": Material((0.0231, 0.0197, 0.0182, 0.0171, 0.0163), 0.18, 1.5e6),
    "silicon": Material((0.163, 0.0747, 0.0519, 0.0428, 0.0379), 150.0, 1.63e6),
    "ceramic": Material((0.30, 0.130, 0.090, 0.074, 0.066), 25.0, 3.0e6),
}
