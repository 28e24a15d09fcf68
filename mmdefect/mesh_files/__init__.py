"""Meshes and PLY files, read within bounds."""

from mmdefect.mesh_files.reading import MESHES, Mesh, read_mesh, write_mesh

__all__ = ["MESHES", "Mesh", "read_mesh", "write_mesh"]
