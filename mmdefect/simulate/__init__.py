"""The simulated station: products, their defects, and four sensors that look at them.

* Every data set that one may show, ship or test with is made up here, with a truth that no real
  data set has: extent, sizes, each sensor's measured contrast, and where every pixel belongs.
* One direction: a product's plan → its solids → a defect applied → each sensor's rays → raw files.
  Sensors know nothing of defects.
* Units are mm, K, s and W. x runs right and y down in a frame; heights rise towards the sensors.
"""

from mmdefect.simulate.capture import Capture, visibility
from mmdefect.simulate.products import GOOD, PRODUCTS
from mmdefect.simulate.specimen import Specimen, render_capture
from mmdefect.simulate.station import SENSORS
from mmdefect.simulate.writing import simulate

__all__ = [
    "GOOD",
    "PRODUCTS",
    "SENSORS",
    "Capture",
    "Specimen",
    "render_capture",
    "simulate",
    "visibility",
]
