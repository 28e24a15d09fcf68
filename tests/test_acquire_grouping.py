"""Frames find their captures: counts and times are planted, and every loss is told."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdefect.acquire.by_number import ByNumber, Counting
from mmdefect.acquire.by_time import ByTime
from mmdefect.acquire.frame import Damaged, Frame, Part

CAMERAS = ("a", "b", "c")
PART = (Part("Mono8", np.zeros((1, 1), np.uint8)),)
SECOND = 10**9


def frame(camera: str, number: int, time: int) -> Frame:
    return Frame(camera, number, time, PART, taken_ns=time + 7 * SECOND)


@st.composite
def triggers(draw):
    """What became of every camera's frame at every trigger, and the order in which they came.

    A camera's frames come in order; those of different cameras up to three triggers apart.
    """
    fates = st.sampled_from(["whole"] * 6 + ["lost", "damaged"])
    count = draw(st.integers(1, 12))
    told = [{name: draw(fates) for name in CAMERAS} for _ in range(count)]
    delays = {name: draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
              for name in CAMERAS}  # fmt: skip
    arrivals = []
    for name in CAMERAS:
        latest = 0
        for number, fate in enumerate(row[name] for row in told):
            latest = max(latest, number + delays[name][number])
            arrivals.append((latest, number, name, fate))
    return told, [entry for entry in sorted(arrivals) if entry[3] != "lost"]


@given(triggers(), st.integers(0, 65534))
def test_by_number_every_frame_finds_its_trigger_and_every_loss_is_told(story, begun):
    """The count starts anywhere, so that it goes round within many of the stories."""
    told, arrivals = story
    counting = {name: Counting(first=begun + 1) for name in CAMERAS}
    grouper = ByNumber(CAMERAS, 100 * SECOND, counting)
    groups = []
    for moment, number, name, fate in arrivals:
        count = (begun + number) % 65535 + 1
        arrived = (
            frame(name, count, moment)
            if fate == "whole"
            else Damaged(name, "missing packets", count)
        )
        groups += grouper.add(arrived, moment * SECOND)
    groups += grouper.rest()
    assert not grouper.unused
    assert len({group.number for group in groups}) == len(groups)
    planted = {
        number: fates for number, fates in enumerate(told) if set(fates.values()) != {"lost"}
    }
    assert {group.number for group in groups} == set(planted)
    for group in groups:
        fates = planted[group.number]
        assert set(group.frames) == {name for name in CAMERAS if fates[name] == "whole"}
        assert set(group.damaged) == {name for name in CAMERAS if fates[name] == "damaged"}
        assert group.missing == tuple(name for name in CAMERAS if fates[name] != "whole")
        assert all(
            (begun + group.number) % 65535 + 1 == got.number for got in group.frames.values()
        )


@given(
    st.lists(st.sets(st.sampled_from(CAMERAS), min_size=1), min_size=1, max_size=10),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_by_time_frames_within_the_window_are_one_capture(planted, random, arrival):
    """Triggers two windows apart, every frame off by up to half a window, in any order."""
    window = 20_000_000
    spacing = 2 * window + 1
    frames = []
    for trigger, cameras in enumerate(planted):
        for name in cameras:
            time = trigger * spacing + random.randint(0, window)
            frames.append((trigger, Frame(name, 1, time if arrival else 0, PART, time)))
    random.shuffle(frames)
    whose = {id(got): trigger for trigger, got in frames}
    grouper = ByTime(CAMERAS, window, 10 * SECOND, arrival=arrival)
    groups = [group for _, got in frames for group in grouper.add(got, 0)] + grouper.rest()
    assert not grouper.unused
    found = {}
    for group in groups:
        (trigger,) = {whose[id(got)] for got in group.frames.values()}
        assert trigger not in found
        found[trigger] = set(group.frames)
        assert group.missing == tuple(name for name in CAMERAS if name not in group.frames)
    assert found == dict(enumerate(planted))


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=60), st.integers(1, 65535))
@settings(max_examples=50)
def test_a_count_that_goes_round_is_counted_on(steps, first):
    """Frames may be lost in between; the camera's own count never leaves 1 to 65,535."""
    counting, true = Counting(first), 0
    assert counting.of(first) == 0
    for step in steps:
        true += step
        assert counting.of((first - 1 + true) % 65535 + 1) == true


def test_a_count_of_64_bits_goes_on_beyond_16_and_a_late_frame_is_not_a_new_round():
    counting = Counting(1)
    assert counting.of(70_000) == 69_999
    counting = Counting(1)
    assert [counting.of(number) for number in (1, 65535, 1, 65534, 2)] == [
        0, 65534, 65535, 65533, 65536
    ]  # fmt: skip


def test_an_incomplete_capture_is_given_when_its_time_is_up_and_does_not_change_after():
    grouper = ByNumber(CAMERAS, SECOND)
    assert grouper.add(frame("a", 1, 0), 0) == []
    assert grouper.add(frame("b", 1, 0), SECOND // 2) == []
    assert grouper.expired(SECOND) == []
    (group,) = grouper.expired(SECOND + SECOND // 2)
    assert group.missing == ("c",)
    assert grouper.add(frame("c", 1, 0), 2 * SECOND) == []
    assert grouper.unused == Counter({("c", "late"): 1})
    assert group.missing == ("c",)
    assert "c" not in group.frames


def test_a_capture_that_no_camera_can_complete_is_given_at_once():
    grouper = ByNumber(CAMERAS, 1000 * SECOND, {name: Counting(1) for name in CAMERAS})
    for name in ("a", "b"):
        grouper.add(frame(name, 1, 0), 0)
        grouper.add(frame(name, 2, 0), 0)
    (first, second) = grouper.add(frame("c", 2, 0), 0)
    assert (first.number, first.missing) == (0, ("c",))
    assert (second.number, second.missing) == (1, ())


@given(st.lists(st.integers(1, 65535), min_size=3, max_size=3), st.sets(st.sampled_from(CAMERAS)))
def test_a_first_frame_that_was_lost_shifts_nothing(begun, late):
    """Cameras that count from anywhere, and of which some lost the frames of two triggers."""
    grouper, groups = ByNumber(CAMERAS, 100 * SECOND), []
    for trigger in range(5):
        for place, name in enumerate(CAMERAS):
            if trigger >= 2 or name not in late or len(late) == 3:
                count = (begun[place] - 1 + trigger) % 65535 + 1
                arrived = trigger * SECOND + place * SECOND // 10
                groups += grouper.add(frame(name, count, arrived), arrived)
    groups += grouper.rest()
    assert len(groups) == 5
    for group in groups:
        assert len({got.arrived_ns // SECOND for got in group.frames.values()}) == 1
    assert not grouper.unused


def test_frames_that_come_twice_late_or_without_a_time_are_counted():
    grouper = ByNumber(CAMERAS, SECOND)
    grouper.add(frame("a", 1, 0), 0)
    grouper.add(frame("a", 1, 5), 0)
    assert grouper.unused == Counter({("a", "twice"): 1})
    by_time = ByTime(("a", "b"), 10, SECOND, arrival=False)
    by_time.add(Frame("a", 1, 0, PART, None), 0)
    by_time.add(Frame("a", 1, 0, PART, 100), 0)
    by_time.add(Frame("a", 2, 0, PART, 105), 0)
    (group,) = by_time.expired(SECOND)
    assert group.missing == ("b",)
    by_time.add(Frame("b", 1, 0, PART, 103), 2 * SECOND)
    assert by_time.unused == Counter({("a", "no time"): 1, ("a", "twice"): 1, ("b", "late"): 1})
