"""Parts as solids: meshes, what they are made of, what their surfaces look like, where they stand.

* A product's own numbers (its *plan*) are built into a part; a defect changes the plan or the part
  and nothing else; sensors read the part and nothing else. Which sensor sees which defect is
  therefore measured, never written down.
* In a part's coordinates x runs right and y down as the reference camera sees them, and height
  rises towards the sensors; all in mm. The pose brings (x, y, -height) into the rig's frame.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mmdefect.registration import Pose
from mmdefect.simulate.raster import Map, Raster, as_map

CHANNELS = (
    "red",
    "green",
    "blue",
    "roughness",
    "specular",
    "metal",
    "emissivity",
    "slope_x",
    "slope_y",
    "fibre",
    "sheen",
)


@dataclass(frozen=True)
class Finish:
    """How a uniform surface reflects light and heat.

    Parameters
    ----------
    albedo : tuple of float, 1
        Diffuse reflectance in red, green and blue, linear; of metal, the tint of its reflection.
    roughness : float, 1
        Width α of the microfacets' slopes, .05 (polished) to .6 (matt).
    specular : float, 1
        Reflectance at normal incidence: .04 for lacquer and plastic, .5 to .9 for metal.
    metal : float, 1
        Share of bare metal, which scatters nothing and mirrors with its own tint.
    emissivity : float, 1
        In the thermal infrared, 8–14 µm.
    """

    albedo: tuple[float, float, float]
    roughness: float = 0.35
    specular: float = 0.04
    metal: float = 0.0
    emissivity: float = 0.92

    @property
    def channels(self) -> Map:
        """Give the values of ``CHANNELS``."""
        rest = (self.roughness, self.specular, self.metal, self.emissivity, 0, 0, 0, 0)
        return as_map([*self.albedo, *rest])


@dataclass(frozen=True)
class Skin:
    """A surface that looks different from place to place, as a raster over the part's x and y.

    Parameters
    ----------
    raster : Raster (y, x, channel)
        Channels as in ``CHANNELS``. ``slope_x`` and ``slope_y`` are d height / dx and / dy of
        structure too fine for the mesh (tool marks, scratches, weave); ``fibre`` is the direction
        of fibres (rad from x towards y) and ``sheen`` the strength of their reflection.
    """

    raster: Raster

    @classmethod
    def of(cls, finish: Finish, width: float, height: float, pitch: float = 0.2) -> "Skin":
        """Make a uniform skin, ready to be painted on, centred on the part's origin (mm)."""
        return cls(Raster.over(width, height, pitch, len(CHANNELS), finish.channels))

    def channel(self, name: str) -> Map:
        """Give one channel (y, x), a view: writing to it paints."""
        return self.raster.values[..., CHANNELS.index(name)]

    @property
    def axes(self) -> tuple[Map, Map]:
        """Give x (1, columns) and y (rows, 1), mm."""
        return self.raster.axes

    def cover(self, share: Any, finish: Finish) -> None:
        """Lay a finish over the skin.

        Parameters
        ----------
        share : array (y, x), 1
            How much of each place it covers.
        finish : Finish
        """
        count = CHANNELS.index("slope_x")
        values = self.raster.values
        share = as_map(share)[..., None]
        values[..., :count] += share * (finish.channels[:count] - values[..., :count])

    def copy(self) -> "Skin":
        """Give one that can be painted on without changing this one."""
        return Skin(replace(self.raster, values=self.raster.values.copy()))


@dataclass(frozen=True)
class Body:
    """One closed solid.

    Parameters
    ----------
    name : str
        Unique within its part.
    vertices : Map (vertex, 3), mm
        x, y, height in the part's coordinates. Vertices are shared within a smooth surface and
        doubled along sharp edges.
    triangles : uint32 array (triangle, 3)
        Counter-clockwise as seen from outside, x, y, height taken as a right-handed frame.
    material : str
        Key of ``mmdefect.simulate.materials.MATERIALS``.
    look : Finish or Skin
        Of its surface.
    host : str
        Name of the body that this one lies in and replaces there (a void is air with a host).
    """

    name: str
    vertices: Map
    triangles: NDArray[np.uint32]
    material: str
    look: Finish | Skin
    host: str = ""

    def moved(
        self, x: float = 0.0, y: float = 0.0, height: float = 0.0, turn: float = 0.0
    ) -> "Body":
        """Give it turned about its own origin (rad, from x towards y), then shifted (mm)."""
        c, s = np.cos(turn), np.sin(turn)
        turned = self.vertices.astype(np.float64) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        return replace(self, vertices=as_map(turned + np.array([x, y, height])))


@dataclass(frozen=True)
class Layer:
    """A film too thin for a mesh, which only the X-ray beam feels: copper, solder, resin.

    Parameters
    ----------
    material : str
    height : float, mm
        Where it lies.
    thickness : Raster (y, x), mm
    """

    material: str
    height: float
    thickness: Raster


@dataclass(frozen=True)
class Delamination:
    """A thin gap between two plies, below the surface of the body it lies in.

    Parameters
    ----------
    body : str
    x, y : float, mm
        Centre.
    diameter, depth, gap : float, mm
        Extent across, distance below the surface, thickness of the gap.
    """

    body: str
    x: float
    y: float
    diameter: float
    depth: float
    gap: float


@dataclass(frozen=True)
class Part:
    """A part on its fixture, at its place in the rig.

    Parameters
    ----------
    bodies : tuple of Body
        The fixture included.
    pose : Pose
        Brings (x, y, -height) of the part into the rig's frame.
    layers : tuple of Layer
    delaminations : tuple of Delamination
    powers : mapping of str to float, W
        Heat that bodies give off while the part is powered.
    excitation : str
        What makes it warm: a ``flash``, or being ``powered``.
    """

    bodies: tuple[Body, ...]
    pose: Pose
    layers: tuple[Layer, ...] = ()
    delaminations: tuple[Delamination, ...] = ()
    powers: Mapping[str, float] = field(default_factory=dict)
    excitation: Literal["flash", "powered"] = "flash"

    def body(self, name: str) -> Body:
        """Find a body by its name."""
        return next(body for body in self.bodies if body.name == name)

    def to_rig(self, points: Map) -> Map:
        """Bring (…, 3) x, y, height into the rig's frame, mm."""
        return as_map(self.pose.into(points.astype(np.float64) * np.array([1.0, 1.0, -1.0])))

    def from_rig(self, points: Map) -> Map:
        """Bring points (…, 3) of the rig's frame into x, y, height, mm."""
        return as_map(self.pose.out_of(points.astype(np.float64)) * np.array([1.0, 1.0, -1.0]))


@dataclass(frozen=True)
class Planted:
    """A part with a defect, and where and how large it is.

    Parameters
    ----------
    part : Part
    extent : Raster (y, x), 1
        Where the defect is, above .5, over the part's x and y.
    sizes : dict of str to float
        What was drawn for it; the unit ends the name.
    shadows : tuple of str
        Bodies inside the part whose X-ray shadow is the defect's extent as well.
    alike : tuple of Part
        Good parts that it resembles, where the same part without the defect is not the only one:
        a sensor's contrast is the least against any of them.
    """

    part: Part
    extent: Raster
    sizes: dict[str, float]
    shadows: tuple[str, ...] = ()
    alike: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of defect on a product.

    Parameters
    ----------
    group : str
        ``surface``, ``geometric``, ``subsurface``, ``internal``, ``structural``,
        ``inconsistent`` (each sensor alone sees a good part) or ``null`` (planted, of size 0).
    plant : callable
        From a random generator and the good part's plan to the planted defect.
    share : float, 1
        How often it occurs among the product's defects, in proportion.
    """

    group: str
    plant: Callable[[np.random.Generator, Any], Planted]
    share: float = 1.0


@dataclass(frozen=True)
class Product:
    """Something that is made again and again, never quite the same.

    Parameters
    ----------
    name, title : str
    draw : callable
        From a random generator to the plan of one good part: every number that varies.
    build : callable
        From a plan to the part; draws nothing.
    kinds : mapping of str to Kind
        Its defects.
    """

    name: str
    title: str
    draw: Callable[[np.random.Generator], Any]
    build: Callable[[Any], Part]
    kinds: Mapping[str, Kind]
