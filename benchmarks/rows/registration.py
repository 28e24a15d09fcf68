"""One capture of four sensors at 800 x 800, registered: a scanner's cloud, colour, infrared, X-ray.

Frames and rig are those of ``benchmarks/registration.py``, which also holds the result against the
truth (``benchmarks/registration_truth.py``). The rival is what one writes without compiled loops,
with Open3D's ray caster and SciPy's interpolation.
"""

from collections.abc import Callable
from functools import partial

from case import Case

TITLE = "Registration of a capture"


def cases(quick: bool) -> dict[str, Callable[[], Case]]:
    side = 200 if quick else 800
    return {
        f"{side} x {side}, reference {name}": partial(made, side, name)
        for name in ("rgb", "points")
    }


def made(side: int, reference: str) -> Case:
    import planted
    from registration import make_frames, naive

    from mmdefect.registration.placing import Registration

    rig = planted.make_rig(side, reference)
    frames = make_frames(rig, side)
    registration = Registration(rig)
    rivals = {"open3d and scipy": lambda: naive(rig, frames)} if reference == "rgb" else {}
    return Case(ours=lambda: registration.place(frames), rivals=rivals, limit=0.06, rounds=5)
