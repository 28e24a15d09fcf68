"""Sensor adapters: one module a modality, each reading a kind of file into a labelled frame.

An adapter knows what the stored counts mean and nothing else: it returns float32 in the unit that
the card declares, NaN where the sensor was blind. How files are decoded is the core's business
(``mmdefect.frames``), where the frame lies on the part that of registration.
"""
