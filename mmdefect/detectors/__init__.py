"""Detectors: what learns good parts and scores others."""
