"""Captures judged as they arrive in a folder, each exactly once, whatever stops the program.

* `arrivals` decides when a capture is complete: pure bookkeeping, fed with sizes and times.
* `mmdefect.journal` is what survives: a line of JSON a verdict, on disk before anybody is told.
* `places` tells which capture a file belongs to; `folder` tells which files there are.
* `loop` puts them together.
"""

from mmdefect.watch.loop import Watch, watch

__all__ = ["Watch", "watch"]
