"""Fusion: detectors that weigh the evidence of several sensors."""
