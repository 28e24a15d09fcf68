"""Meshes of STL, OBJ and PLY files, read within bounds."""
