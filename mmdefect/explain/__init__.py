"""Explainers: which sensor a verdict came from."""
