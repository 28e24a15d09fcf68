"""A small whole file of every format that is read, and how it is read: for tests and fuzzing.

Each specimen is written with planted values, so that whoever reads it damaged can tell what came
back as written, what was refused, and what was made up.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from bags import camera, image, packed, write_bag
from flir_files import counts_of, write_flir
from lossless_jpeg import lossless
from PIL import Image

from mmdefect.mesh_files import Mesh, read_mesh, write_mesh
from mmdefect.sensors.depth import Depth
from mmdefect.sensors.infrared import Infrared
from mmdefect.sensors.points import Points
from mmdefect.sensors.rgb import Rgb
from mmdefect.sensors.xray import Xray
from mmdefect.structured.decode import decode_files
from mmdefect.structured.patterns import write_patterns
from mmdefect.structured.stack import read_stack

RNG = np.random.default_rng(7)
GREY = (np.arange(24 * 32).reshape(24, 32) * 37 % 4001 + 100).astype(np.uint16)
BYTES = (GREY % 251).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (24, 32, 3)).astype(np.uint8)
STACK = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])
CLOUD = RNG.normal([0, 0, 500], [40, 30, 5], (24, 32, 3)).round(3).astype(np.float32)
XYZ = "property float x\nproperty float y\nproperty float z\n"


@dataclass(frozen=True)
class Specimen:
    """One file of a format.

    Attributes
    ----------
    name : str
        File name; its ending tells the format.
    write : callable (path)
    read : callable (path) -> array
    sure : bool
        Whether the format has checksums over its values, so that none can change unseen.
    ends : bool
        Whether a file that was cut off can be told from a shorter one: text ends anywhere.
    honest : int
        Bytes that the values take once read.
    """

    name: str
    write: Callable[[Path], Any]
    read: Callable[[Path], np.ndarray]
    sure: bool = False
    ends: bool = True
    honest: int = 24 * 32 * 3 * 8


def by(adapter: Any) -> Callable[[Path], np.ndarray]:
    return lambda path: adapter.read(path).values


def hdf5(path: Path, name: str = "entry/frame", array: np.ndarray = GREY, **options: Any) -> None:
    with h5py.File(path, "a") as file:
        file.create_dataset(name, data=array, **options)


def zivid(path: Path) -> None:
    hdf5(path, "data/pointcloud", CLOUD, chunks=(8, 32, 3), compression="gzip")
    hdf5(path, "data/rgba_image", np.dstack([COLOUR, np.full((24, 32), 255, np.uint8)]))


def exchange(path: Path) -> None:
    hdf5(path, "exchange/data", STACK)
    hdf5(path, "exchange/data_white", STACK[:2] + np.uint16(5000))
    hdf5(path, "exchange/data_dark", STACK[:2] // 100)


def nxtomo(path: Path) -> None:
    frames = np.stack([GREY // 50, GREY + np.uint16(5000), GREY, GREY[::-1]])
    hdf5(path, "entry/instrument/detector/data", frames, chunks=(1, 24, 32), compression="gzip")
    hdf5(path, "entry/instrument/detector/image_key", np.array([2, 1, 0, 0]))


def pcd(path: Path, encoding: str) -> None:
    head = "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 32\nHEIGHT 24\n"
    head += f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 768\nDATA {encoding}\n"
    body = CLOUD.tobytes()
    if encoding == "ascii":
        body = "".join("{} {} {}\n".format(*point) for point in CLOUD.reshape(-1, 3)).encode()
    if encoding == "binary_compressed":
        fields = np.ascontiguousarray(CLOUD.reshape(-1, 3).T).tobytes()
        runs = [fields[start : start + 32] for start in range(0, len(fields), 32)]
        squeezed = b"".join(bytes([len(run) - 1]) + run for run in runs)
        body = struct.pack("<II", len(squeezed), len(fields)) + squeezed
    path.write_bytes(head.encode() + body)


def ply(path: Path, order: str, told: str = "", grid: bool = False) -> None:
    encoding = {"<": "binary_little_endian", ">": "binary_big_endian", "": "ascii"}[order]
    head = f"ply\nformat {encoding} 1.0\n{told}element vertex 768\n{XYZ}"
    head += "element range_grid 768\nproperty list uchar int vertex_indices\n" * grid
    points = CLOUD.reshape(-1, 3)
    body = points.astype(f"{order or '<'}f4").tobytes()
    if not order:
        body = "".join("{} {} {}\n".format(*point) for point in points).encode()
    cells = b"".join(struct.pack(f"{order or '<'}Bi", 1, cell) for cell in range(768))
    path.write_bytes(head.encode() + b"end_header\n" + body + cells * grid)


def dicom(path: Path, syntax: str = "ExplicitVRLittleEndian", stack: np.ndarray = STACK) -> None:
    from pydicom import uid
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.pixels import compress

    made, chosen = Dataset(), getattr(uid, syntax)
    packs = syntax in ("RLELossless", "JPEG2000Lossless", "JPEGLSLossless")
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if packs else chosen
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    made.NumberOfFrames, made.Rows, made.Columns = stack.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = stack.dtype.itemsize * 8
    made.HighBit, made.PixelRepresentation = made.BitsStored - 1, 0
    made.RescaleSlope, made.RescaleIntercept = "0.5", "-10"
    order = ">" if syntax == "ExplicitVRBigEndian" else "<"
    made.PixelData = stack.astype(stack.dtype.newbyteorder(order)).tobytes()
    made["PixelData"].VR = "OW"
    if packs:
        compress(made, chosen, generate_instance_uid=False)
    made.save_as(path, enforce_file_format=True)


def dicom_jpeg(path: Path) -> None:
    from pydicom import dcmread, uid
    from pydicom.encaps import encapsulate

    dicom(path, stack=BYTES[np.newaxis])
    made = dcmread(path)
    stream = io.BytesIO()
    Image.fromarray(BYTES).save(stream, "JPEG")
    made.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    made.PixelData = encapsulate([stream.getvalue()])
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    made.save_as(path, enforce_file_format=True)


def dicom_lossless(path: Path) -> None:
    from pydicom import dcmread, uid
    from pydicom.encaps import encapsulate

    dicom(path)
    made = dcmread(path)
    streams = [lossless(frame[..., np.newaxis], 16, 4, 0, 0) for frame in STACK]
    made.file_meta.TransferSyntaxUID = uid.JPEGLosslessSV1
    made.PixelData = encapsulate([stream + bytes(len(stream) % 2) for stream in streams])
    made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    made.save_as(path, enforce_file_format=True)


def bag(path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(GREY).save(stream, "PNG")
    write_bag(
        path,
        {
            "/depth/image": ("Image", [image(frame, "16UC1") for frame in STACK]),
            "/depth/packed": (
                "CompressedImage",
                [packed("16UC1; compressedDepth png", bytes(12) + stream.getvalue())],
            ),
            "/depth/camera_info": ("CameraInfo", [camera((24, 32), 40, 40, 16, 12, 0, 0)]),
        },
    )


def box() -> Mesh:
    corners = np.array([[x, y, z] for x in range(4) for y in range(4) for z in range(4)], "f4")
    return Mesh(corners, RNG.permuted(np.arange(63).reshape(21, 3), axis=1).astype(np.int32))


BOX = box()


def stl(path: Path) -> None:
    body = b"".join(
        struct.pack("<12fH", 0, 0, 0, *c.ravel(), 0) for c in BOX.corners[BOX.triangles]
    )
    path.write_bytes(bytes(80) + struct.pack("<I", len(BOX.triangles)) + body)


def stl_text(path: Path) -> None:
    lines = [f"vertex {x} {y} {z}" for x, y, z in BOX.corners[BOX.triangles].reshape(-1, 3)]
    path.write_text("\n".join(["solid a", *lines, "endsolid a"]))


def obj(path: Path) -> None:
    lines = [f"v {x} {y} {z}" for x, y, z in BOX.corners]
    path.write_text("\n".join(lines + [f"f {a} {b} {c}" for a, b, c in BOX.triangles + 1]))


def ply_mesh(path: Path) -> None:
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(BOX.corners)}\n{XYZ}"
    head += f"element face {len(BOX.triangles)}\nproperty list uchar int vertex_indices\n"
    body = BOX.corners.tobytes() + b"".join(struct.pack("<B3i", 3, *t) for t in BOX.triangles)
    path.write_bytes(head.encode() + b"end_header\n" + body)


def corners_of(path: Path) -> np.ndarray:
    mesh = read_mesh(path)
    return mesh.corners[mesh.triangles]


def stack_of_patterns(path: Path) -> None:
    write_patterns(path.parent, (16, 12), "gray", periods=(8,), steps=3)


def decoded(path: Path) -> np.ndarray:
    return np.stack(list(decode_files(read_stack(path.parent)).places.values()))


PINHOLE = {"fx": 40.0, "fy": 40.0, "cx": 16.0, "cy": 12.0}
PHOTONEO = "obj_info Photoneo PLY PointCloud (Width = 32; Height = 24; Ordered)\n"
ROWS = "obj_info num_cols 32\nobj_info num_rows 24\n"
IN_MM = by(Points(unit="mm"))
THERMAL = by(Infrared(unit="K", scale=0.5))
SECOND = by(Xray(frame=1))
SPECIMENS = [
    Specimen("grey.png", lambda p: Image.fromarray(GREY).save(p), THERMAL, sure=True),
    Specimen("colour.png", lambda p: Image.fromarray(COLOUR).save(p), by(Rgb()), sure=True),
    Specimen(
        "depth.png", lambda p: Image.fromarray(GREY).save(p),
        by(Points(unit="mm", **PINHOLE)), sure=True,
    ),
    Specimen("a.jpg", lambda p: Image.fromarray(COLOUR).save(p), by(Rgb())),
    Specimen("a.bmp", lambda p: Image.fromarray(COLOUR).save(p), by(Rgb())),
    Specimen("plain.tif", lambda p: tifffile.imwrite(p, GREY), THERMAL),
    Specimen("packed.tif", lambda p: tifffile.imwrite(p, GREY, compression="zlib"), THERMAL),
    Specimen(
        "lzw.tif", lambda p: Image.fromarray(GREY).save(p, compression="tiff_lzw"), THERMAL
    ),
    Specimen(
        "stack.tif", lambda p: tifffile.imwrite(p, STACK, photometric="minisblack"), SECOND
    ),
    Specimen("cloud.tif", lambda p: tifffile.imwrite(p, CLOUD, photometric="rgb"), IN_MM),
    Specimen("a.npy", lambda p: np.save(p, GREY), THERMAL),
    Specimen("stack.npy", lambda p: np.save(p, STACK), SECOND),
    Specimen("a.npz", lambda p: np.savez_compressed(p, GREY), THERMAL, sure=True),
    Specimen("plain.h5", hdf5, THERMAL),
    Specimen("packed.h5", lambda p: hdf5(p, chunks=(8, 8), compression="gzip"), THERMAL),
    Specimen("sums.nc", lambda p: hdf5(p, chunks=(8, 8), fletcher32=True), THERMAL),
    Specimen("exchange.h5", exchange, by(Xray(own_fields=True, frame=1))),
    Specimen("a.nxs", nxtomo, by(Xray(own_fields=True, frame=1))),
    Specimen("a.zdf", zivid, IN_MM),
    Specimen("colours.zdf", zivid, by(Rgb())),
    Specimen("text.pcd", lambda p: pcd(p, "ascii"), IN_MM, ends=False),
    Specimen("binary.pcd", lambda p: pcd(p, "binary"), IN_MM),
    Specimen("packed.pcd", lambda p: pcd(p, "binary_compressed"), IN_MM),
    Specimen("text.ply", lambda p: ply(p, "", ROWS), IN_MM, ends=False),
    Specimen("binary.ply", lambda p: ply(p, "<", PHOTONEO), IN_MM),
    Specimen("grid.ply", lambda p: ply(p, ">", ROWS, grid=True), IN_MM),
    Specimen("little_grid.ply", lambda p: ply(p, "<", ROWS, grid=True), IN_MM),
    Specimen("explicit.dcm", dicom, SECOND),
    Specimen("implicit.dcm", lambda p: dicom(p, "ImplicitVRLittleEndian"), SECOND),
    Specimen("big.dcm", lambda p: dicom(p, "ExplicitVRBigEndian"), SECOND),
    Specimen("deflated.dcm", lambda p: dicom(p, "DeflatedExplicitVRLittleEndian"), SECOND),
    Specimen("rle.dcm", lambda p: dicom(p, "RLELossless"), SECOND),
    Specimen("jpegls.dcm", lambda p: dicom(p, "JPEGLSLossless"), SECOND),
    Specimen("lossless.dcm", dicom_lossless, SECOND),
    Specimen(
        "jpeg2000.dcm", lambda p: dicom(p, "JPEG2000Lossless", np.tile(STACK, (1, 2, 2))), SECOND,
        honest=48 * 64 * 8,
    ),
    Specimen("jpeg.dcm", dicom_jpeg, by(Xray())),
    Specimen("depth.db3", bag, by(Depth(unit="mm", key="/depth/packed")), honest=1 << 17),
    Specimen("points.db3", bag, by(Points(unit="mm", key="/depth/image", frame=1))),
    Specimen("flir.jpg", lambda p: write_flir(p, counts_of()), by(Infrared(format="flir"))),
    Specimen(
        "flir_png.jpg", lambda p: write_flir(p, counts_of(), payload="png"),
        by(Infrared(format="flir")),
    ),
    Specimen("stack.toml", stack_of_patterns, decoded),
    Specimen("binary.stl", stl, corners_of),
    Specimen("text.stl", stl_text, corners_of),
    Specimen("a.obj", obj, corners_of, ends=False),
    Specimen("mesh.ply", ply_mesh, corners_of),
    Specimen("mesh.safetensors", lambda p: p.write_bytes(write_mesh(BOX)), corners_of),
]  # fmt: skip
"""Every specimen whose decoders are needed at most from the extra ``test``."""
