"""What sequences tell of planted depths: ranking, sign and strength of every method's channels.

    OMP_NUM_THREADS=1 python benchmarks/thermography.py

A carbon-fibre plate of 4 mm with four delaminations of one diameter in known depths is flashed in
the simulated station, with an uneven lamp, narcissus and a camera's noise. A lock-in heating is the
same part's answers to many small flashes, added up. The yardstick is a formula that shares nothing
with the simulator's finite volumes: the thermal impedance of layers, one-dimensional and steady
(Maillet, Andre, Batsale, Degiovanni, Moyne: Thermal Quadrupoles, 2000). Where a gap is narrow
against its depth, heat goes around it and the formula is only an upper bound.

``CNR`` is the difference between the middle of a flaw and sound places over the spread of sound
places, ``rank`` Spearman's correlation of the marker with the planted depth.
"""

import argparse

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from mmdefect.registration import Pose
from mmdefect.simulate.body import Body, Delamination, Finish, Part
from mmdefect.simulate.heat.infrared import NETD, PATTERN, Heating, render_sequence
from mmdefect.simulate.materials import MATERIALS
from mmdefect.simulate.shapes import box
from mmdefect.simulate.station import DISTANCE_MM, station
from mmdefect.simulate.tracer import World
from mmdefect.thermography import lockin, principal_components, pulsed_phase, reconstruction

AMBIENT, PLATE, GAP = 295.0, 4.0, 0.1
DEPTHS = (0.5, 0.8, 1.1, 1.5)
PLACES = ((-25.0, -20.0), (25.0, -20.0), (-25.0, 20.0), (25.0, 20.0))
SOUND = ((0.0, 0.0), (0.0, 25.0), (0.0, -25.0), (-35.0, 0.0), (35.0, 0.0))


def planted(diameter: float) -> Part:
    """A plate with flaws on a fixture."""
    matt = Finish((0.05, 0.05, 0.05), roughness=0.6, emissivity=0.90)
    solids = {"fixture": (box(170, 170, -12, -9), "abs"), "panel": (box(90, 80, -PLATE, 0), "cfrp")}
    bodies = tuple(Body(name, *mesh, material, matt) for name, (mesh, material) in solids.items())
    flaws = [
        Delamination("panel", x, y, diameter, depth, GAP)
        for depth, (x, y) in zip(DEPTHS, PLACES, strict=True)
    ]
    pose = Pose(np.eye(3), np.array([0.0, 0.0, DISTANCE_MM]))
    return Part(bodies, pose, delaminations=tuple(flaws))


class Bench:
    """The part before the camera, and what can be seen of it."""

    def __init__(self, size: int, diameter: float, seed: int = 0) -> None:
        self.camera = station(size).cameras["infrared"]
        self.world = World(planted(diameter))
        pattern = np.array(PATTERN, np.float32)
        self.heating = Heating(1.0, AMBIENT, 0.0, pattern, 1.0, 0.1)
        self.rng = np.random.default_rng(seed)

    def noisy(self, clean: np.ndarray) -> np.ndarray:
        noise = self.rng.standard_normal(clean.shape, dtype=np.float32)
        return clean + np.float32(NETD) * noise

    def flashed(self, rate: float, seconds: float) -> np.ndarray:
        times = np.arange(1, round(rate * seconds) + 1) / rate
        return render_sequence(self.world, self.camera, self.heating, times)

    def modulated(self, rate: float, seconds: float, frequency: float) -> np.ndarray:
        """A heating 1 + cos(2πft), as many flashes of a hundredth of the energy each."""
        count = round(rate * seconds)
        roots = np.sqrt(np.arange(count + 1) / rate)
        times = (1 / rate / (2 * np.diff(roots))) ** 2  # where 1/√t has its mean over the step
        answer = render_sequence(self.world, self.camera, self.heating, times) - AMBIENT
        heat = 0.01 * (1 + np.cos(2 * np.pi * frequency * np.arange(count) / rate))
        spectrum = np.fft.rfft(answer, 2 * count, axis=0)
        spectrum *= np.fft.rfft(heat, 2 * count)[:, None, None]
        return (AMBIENT + np.fft.irfft(spectrum, 2 * count, axis=0)[:count]).astype(np.float32)

    def around(self, picture: np.ndarray, place: tuple[float, float], reach: int) -> np.ndarray:
        column, row = self.camera.project(np.array([*place, DISTANCE_MM]))
        i, j = round(float(row)), round(float(column))
        return picture[i - reach : i + reach + 1, j - reach : j + reach + 1]

    def contrasts(self, picture: np.ndarray) -> tuple[np.ndarray, float]:
        """Flaws less the sound middle, and the spread of sound pixels around their own places'."""
        sound = [self.around(picture, place, 3) for place in SOUND]
        level = np.median([np.median(patch) for patch in sound])
        spread = np.concatenate([(patch - np.median(patch)).ravel() for patch in sound]).std()
        flaws = [np.median(self.around(picture, place, 1)) - level for place in PLACES]
        return np.array(flaws), float(spread)


def impedance(frequency: float, depth: float | None) -> complex:
    """Surface temperature for a heat flux (K m²/W) of the plate, or of the plate above a gap."""
    material = MATERIALS["cfrp"]
    wave = np.sqrt(2j * np.pi * frequency / material.diffusivity)
    behind = PLATE if depth is None else PLATE - depth
    plate = 1 / (material.conductivity * wave * np.tanh(wave * behind * 1e-3))
    if depth is None:
        return complex(plate)
    load = plate + GAP * 1e-3 / MATERIALS["air"].conductivity
    turn = np.tanh(wave * depth * 1e-3)
    own = material.conductivity * wave
    return complex((load + turn / own) / (own * turn * load + 1))


def expected(frequency: float) -> np.ndarray:
    """Phase contrasts of the layers, rad."""
    sound = impedance(frequency, None)
    return np.array([np.angle(impedance(frequency, depth) / sound) for depth in DEPTHS])


def told(bench: Bench, channels: xr.DataArray, channel: str, want: np.ndarray | None) -> float:
    """Print a channel's contrasts; give Spearman's correlation of their size with the depth."""
    flaws, spread = bench.contrasts(channels.sel(channel=channel).values)
    unit = str(channels.channel_unit.sel(channel=channel).item())
    rank = float(spearmanr(flaws, DEPTHS).statistic)
    line = f"{channel:20s} {unit:4s} " + " ".join(f"{value:+8.4f}" for value in flaws)
    if spread > 0:
        line += "   CNR " + " ".join(f"{abs(value) / spread:6.1f}" for value in flaws)
    if want is not None:
        sure = np.abs(want) > 0.02
        right = int((np.sign(flaws) == np.sign(want))[sure].sum())
        line += f"   formula {' '.join(f'{v:+.3f}' for v in want)}  signs {right}/{int(sure.sum())}"
    print(f"{line}   rank {rank:+.2f}")
    return rank


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=128, help="of the station, px")
    parser.add_argument("--rate", type=float, default=50.0, help="frames a second after the flash")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--diameter", type=float, default=14.0, help="of the flaws, mm")
    asked = parser.parse_args()
    bench = Bench(asked.size, asked.diameter)
    print(f"depths {DEPTHS} mm, diameter {asked.diameter:g} mm, NETD {1e3 * NETD:g} mK")
    for frequency in (0.05, 0.2):
        seconds = 3 / frequency + 20
        stack = bench.noisy(bench.modulated(10.0, seconds, frequency))[200:]
        channels = lockin(stack, 10.0, frequency)
        print(f"lock-in {frequency:g} Hz, 3 periods at 10 Hz, settled for 20 s")
        told(bench, channels, "phase", expected(frequency))
        told(bench, channels, "amplitude", None)
    stack = bench.noisy(bench.flashed(asked.rate, asked.seconds))
    print(f"flash, {asked.seconds:g} s at {asked.rate:g} Hz")
    channels = pulsed_phase(stack, asked.rate, [0.2, 0.5, 1.0])
    for frequency in (0.2, 0.5, 1.0):
        told(bench, channels, f"phase {frequency:g} Hz", expected(frequency))
    for name in ("component 2", "component 3"):
        told(bench, principal_components(stack, 3), name, None)
    channels = reconstruction(stack - np.float32(AMBIENT), asked.rate, [0.3, 1.0, 3.0])
    for name in channels.channel.values:
        told(bench, channels, str(name), None)
    times = [np.median(bench.around(channels.values[-1], place, 1)) for place in PLACES]
    deep = 1e3 * np.sqrt(np.pi * MATERIALS["cfrp"].diffusivity * np.array(times))
    print(f"bend times {np.round(times, 3)} s, depths √(π α t) {np.round(deep, 2)} mm")
    raw = xr.DataArray(stack[[round(asked.rate) - 1]], dims=("channel", "y", "x"))
    raw = raw.assign_coords(channel=["frame at 1 s"], channel_unit=("channel", ["K"]))
    told(bench, raw, "frame at 1 s", None)


if __name__ == "__main__":
    main()
