"""The panel: ``.mmdefect`` on scenes and predictions, for people at a prompt or in a notebook.

Importing this room gives every ``xarray.Dataset`` the accessor ``.mmdefect``; matplotlib is
imported when something is drawn.
"""

from mmdefect.panel.accessor import Accessor
from mmdefect.panel.drawing import Panel, draw

__all__ = ["Accessor", "Panel", "draw"]
