"""Data sets of the simulated station: which captures, in which folder.

A capture depends on its product, seed, split and index alone: neither order nor number of
captures matters, and a run that was interrupted goes on where it stopped, to the same bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from mmdefect.errors import CardError
from mmdefect.simulate.body import Product
from mmdefect.simulate.files import LAYOUTS, frame_paths, write_card, write_frames, write_station
from mmdefect.simulate.products import GOOD, PRODUCTS, product_named
from mmdefect.simulate.record import entry_of, read_truth, write_truth
from mmdefect.simulate.specimen import render_capture
from mmdefect.simulate.station import station

Track: TypeAlias = Callable[[Iterable["Job"], int, str], Iterable["Job"]]

REVISION = 2
GOOD_SHARE = 0.4
NULL = "null"
TRUTH_EVERY = 16
_VALIDATION_SHARE = 0.25


@dataclass(frozen=True)
class Job:
    """One capture to be written.

    Parameters
    ----------
    product, split, kind : str
        Where it belongs.
    number : int
        Its number within the kind, which names its files.
    index : int
        Its index within the split, which draws its part.
    """

    product: str
    split: str
    kind: str
    number: int
    index: int

    @property
    def key(self) -> str:
        """Name of the capture in ``truth.json``."""
        return f"{self.product}/{self.split}/{self.kind}/{self.number:03d}"


def shown_kinds(product: Product) -> list[str]:
    """List a product's kinds of defect that a data set gets unless told otherwise."""
    return [name for name, kind in product.kinds.items() if kind.group != NULL]


def plan(
    product: Product, train: int, test: int, kinds: Sequence[str] = (), calibration: int = 0
) -> list[Job]:
    """List the captures of one product.

    Parameters
    ----------
    product : Product
    train, calibration : int
        Good captures to learn from and to calibrate on.
    test : int
        Captures to be judged: about 40 % good, the rest in proportion to the kinds' shares.
    kinds : sequence of str
        The kinds of defect; all but the null defect when empty.

    Returns
    -------
    list of Job
        Training first. A kind's n-th capture shows the same part in every data set of that seed.
    """
    chosen = list(kinds) or shown_kinds(product)
    every = [GOOD, *product.kinds]
    good = round(GOOD_SHARE * test)
    shares = [product.kinds[kind].share for kind in chosen]
    ends = np.rint(np.cumsum([0.0, *shares]) / sum(shares) * (test - good)).astype(int)
    jobs = [Job(product.name, "train", GOOD, n, n) for n in range(train)]
    jobs += [Job(product.name, "calibration", GOOD, n, n) for n in range(calibration)]
    counts = [good, *np.diff(ends).tolist()]
    for kind, count in zip([GOOD, *chosen], counts, strict=True):
        place = every.index(kind)
        jobs += [Job(product.name, "test", kind, n, n * len(every) + place) for n in range(count)]
    return jobs


@dataclass(frozen=True)
class _Order:
    """What was asked for, checked."""

    products: tuple[str, ...]
    kinds: tuple[str, ...]
    train: int
    test: int
    seed: int
    size: int
    layout: str

    def __post_init__(self) -> None:
        if self.train < 1 or self.test < 0 or self.seed < 0:
            raise CardError(
                f"train={self.train}, test={self.test}, seed={self.seed} were asked for, but a "
                "data set has at least one training capture and no negative numbers: correct them"
            )
        if self.layout not in LAYOUTS:
            raise CardError(f"no layout {self.layout!r}; there are: {', '.join(LAYOUTS)}")
        station(self.size)
        everything = {name for product in self.products for name in product_named(product).kinds}
        unknown = sorted(set(self.kinds) - everything)
        if unknown:
            raise CardError(
                f"no kind {unknown[0]!r} on {', '.join(self.products)}; there are: "
                f"{', '.join(sorted(everything))}"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What a folder must have been begun with to be resumed."""
        return {
            "products": list(self.products),
            "kinds": list(self.kinds),
            "train": self.train,
            "test": self.test,
            "seed": self.seed,
            "size": self.size,
            "layout": self.layout,
            "revision": REVISION,
        }

    @property
    def jobs(self) -> list[Job]:
        """All captures."""
        extra = round(_VALIDATION_SHARE * self.train) if self.layout == "mvtec3d" else 0
        jobs = []
        for name in self.products:
            product = product_named(name)
            own = [kind for kind in self.kinds if kind in product.kinds]
            jobs += plan(product, self.train, self.test, own, extra)
        return jobs

    @property
    def command(self) -> str:
        """The command that makes the data set again."""
        chosen = [f"--product {name}" for name in self.products]
        chosen += [f"--kind {name}" for name in self.kinds]
        rest = f"--train {self.train} --test {self.test} --size {self.size} --seed {self.seed}"
        return f"mmdefect simulate {' '.join([*chosen, rest])} --layout {self.layout}"


def _all_of(jobs: Iterable[Job], _total: int, _doing: str) -> Iterator[Job]:
    """Stand in for a progress bar."""
    return iter(jobs)


def simulate(
    out: Path,
    *,
    products: Sequence[str] = (),
    kinds: Sequence[str] = (),
    train: int = 40,
    test: int = 60,
    seed: int = 0,
    size: int = 256,
    layout: str = "station",
    workers: int = 1,
    track: Track | None = None,
) -> Path | str:
    """Write a made-up data set: products seen by four sensors.

    Parameters
    ----------
    out : Path
        A new or empty folder, or one that this function began with the same settings; captures
        that are there already are not made again.
    products : sequence of str
        All when empty.
    kinds : sequence of str
        Kinds of defect; all but the null defect when empty.
    train : int
        Good captures of each product to learn from; a quarter as many more to calibrate on in
        the layout ``mvtec3d``, which has a split for them.
    test : int
        Captures of each product to be judged: about 40 % good, the rest shared by the kinds.
    seed : int
        Every random step follows from it.
    size : int, px
        Rows and columns of the reference camera.
    layout : str
        ``station``: four sensors, each on its own grid; or ``mvtec3d``: colour and points.
    workers : int
        Processes that share the captures out; the files are the same for any number.
    track : Callable, optional
        Wraps the captures for a progress bar: called as ``track(captures, total, "simulating")``.

    Returns
    -------
    Path or str
        The data set's card, or the name of the card that reads it.

    Raises
    ------
    CardError
        When the folder holds anything else, was made with other settings, or the numbers make
        no data set.
    MmdefectError
        When open3d, which casts the rays, cannot be loaded.
    """
    out = Path(out)
    order = _Order(
        tuple(products) or tuple(PRODUCTS), tuple(kinds), train, test, seed, size, layout
    )
    captures = read_truth(out, order.settings)
    write_truth(out, order.settings, captures)
    if layout == "station":
        write_station(out, seed=seed, size=size)
    jobs = order.jobs
    todo = [job for job in jobs if not _is_there(job, order, out, captures)]
    try:
        with _shared_out(partial(_make, order=order, out=out), todo, workers) as entries:
            waiting = set(todo)
            for job in (track or _all_of)(jobs, len(jobs), "simulating"):
                if job in waiting:
                    captures[job.key] = next(entries)
                    if len(captures) % TRUTH_EVERY == 0:
                        write_truth(out, order.settings, captures)
    finally:
        write_truth(out, order.settings, captures)
    return write_card(out, order.command) if layout == "station" else layout


@contextmanager
def _shared_out(
    make: Callable[[Job], dict[str, Any]], jobs: list[Job], workers: int
) -> Iterator[Iterator[dict[str, Any]]]:
    """Make captures, in order, in this process or in several."""
    if workers <= 1:
        yield map(make, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield pool.map(make, jobs)
        finally:
            pool.shutdown(cancel_futures=True)


def _paths(job: Job, order: _Order, out: Path) -> dict[str, Path]:
    """Say where a capture's files go."""
    split = "validation" if job.split == "calibration" else job.split
    return frame_paths(order.layout, out / job.product / split / job.kind, job.number, job.kind)


def _is_there(job: Job, order: _Order, out: Path, captures: dict[str, Any]) -> bool:
    """Tell whether a capture was made before."""
    return job.key in captures and all(p.exists() for p in _paths(job, order, out).values())


def _make(job: Job, *, order: _Order, out: Path) -> dict[str, Any]:
    """Render and write a capture; give what is true about it."""
    paths = _paths(job, order, out)
    capture = render_capture(
        job.product,
        job.kind,
        seed=order.seed,
        split=job.split,
        index=job.index,
        size=order.size,
        aligned=order.layout == "mvtec3d",
        sensors=tuple(name for name in paths if name != "mask"),
    )
    write_frames(capture, order.layout, paths)
    return entry_of(capture)
