"""The family of errors.

One root, so that a caller can catch everything this package means to say and nothing else::

    MmdefectError
    ├─ SceneError         (ValueError)    a scene breaks a promise
    │  └─ RegistrationError               frames cannot be put on one grid
    ├─ CardError          (ValueError)    a card, or its folder, is not as written
    ├─ CalibrationError   (ValueError)    views of a target do not say where cameras stand
    ├─ SensorError        (ValueError)    a file is not what its adapter reads
    ├─ FeatureError       (ValueError)    a feature extractor, or its weights, cannot be had
    ├─ ModelError         (ValueError)    a model's folder is not as written
    ├─ JournalError       (ValueError)    a watcher's journal cannot be kept, or is not as written
    ├─ AcquisitionError   (RuntimeError)  a camera, or its driver, does not do what was promised
    ├─ UnknownNameError   (LookupError)   no plug-in goes by this name
    └─ NotFittedError     (RuntimeError)  a detector was asked too early

Every message says what was found, what was promised, and what to do. Mistakes of the caller's
program stay ``TypeError`` and ``AssertionError``.
"""


class MmdefectError(Exception):
    """Root of every error that this package raises on purpose."""


class SceneError(MmdefectError, ValueError):
    """A scene breaks one of its promises."""


class RegistrationError(SceneError):
    """Frames cannot be put on one grid."""


class CardError(MmdefectError, ValueError):
    """A card, or the folder it describes, is not as written."""


class CalibrationError(MmdefectError, ValueError):
    """Views of a target do not say, or not well enough, where the cameras of a rig stand."""


class SensorError(MmdefectError, ValueError):
    """A file is not what its sensor adapter reads."""


class FeatureError(MmdefectError, ValueError):
    """A feature extractor, or its weights, cannot be had."""


class ModelError(MmdefectError, ValueError):
    """A model's folder is not as written, or does not fit what it is asked."""


class JournalError(MmdefectError, ValueError):
    """A watcher's journal cannot be kept, or is not as it was written."""


class AcquisitionError(MmdefectError, RuntimeError):
    """A camera, or what drives it, does not do what was promised."""


class UnknownNameError(MmdefectError, LookupError):
    """No plug-in goes by this name."""


class NotFittedError(MmdefectError, RuntimeError):
    """A detector was asked before it was fitted."""
