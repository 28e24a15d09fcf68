"""Everything that shapes the numbers of an inspection, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmdefect.referral import Referral


@dataclass(frozen=True)
class Settings:
    """Everything that shapes the numbers of an evaluation, or of a model.

    Parameters
    ----------
    sensors : tuple of str
        The sensors to use; all when empty.
    features : dict of str to str
        Spec by sensor; where not named, a small pretrained backbone for pictures if its weights
        can be had, ``builtin`` else.
    detector, fusion : str
        Plug-ins by name.
    false_alarm : float
        The wanted rate of good parts called defective.
    bank_bytes : int
        Bytes that all detectors may hold while fitting; as many again of the parts learnt from
        may be kept, which then are not read anew for every sensor.
    seed : int
    referral : Referral
        The band of p-values that is referred to a person.
    learn_weights : bool
        Weigh the sensors by labelled defective captures outside the test split, where held-out
        ones show that it is better.
    """

    sensors: tuple[str, ...] = ()
    features: Mapping[str, str] = field(default_factory=dict)
    detector: str = "memory_bank"
    fusion: str = "late"
    false_alarm: float = 0.05
    bank_bytes: int = 512 << 20
    seed: int = 0
    learn_weights: bool = False
    referral: Referral = field(default_factory=Referral)
