"""A model: what an inspection learnt, as one folder that another machine reads.

* Arrays are safetensors, the rest is JSON; nothing is pickled, and a file cannot name another
  outside its folder.
* What was learnt lies under the hash of its bytes and is never changed. ``model.json`` names what
  counts, with the history of changes; replacing that one file, in one step, is every change. A
  kill leaves the old model, and every change can be taken back.
* Weights of backbones are carried along, because a spec that names a hub or a user's file means
  nothing on another machine.

``docs/model-format.md`` describes the folder.
"""

from mmdefect.model._change import Change
from mmdefect.model._folder import FORMAT, ModelFolder
from mmdefect.model._learnt import Learnt, card_of_model, content_of, load, save
from mmdefect.model._origin import Origin

__all__ = [
    "FORMAT",
    "Change",
    "Learnt",
    "ModelFolder",
    "Origin",
    "card_of_model",
    "content_of",
    "load",
    "save",
]
