import numpy as np
import pytest

from sign_keras.ctc.decoding import DecodedGloss
from sign_keras.ctc.local_agreement import LocalAgreement


def gloss(letter, middle, length=3):
    first = middle - length // 2
    return DecodedGloss(ord(letter), first, first + length - 1, 0.9)


def read(text, *middles):
    return [gloss(letter, middle) for letter, middle in zip(text, middles, strict=True)]


def text(glosses):
    return "".join(chr(gloss.gloss_id) for gloss in glosses)


@pytest.fixture
def stream():
    return LocalAgreement(nearby=4)


def test_a_gloss_is_said_once_two_windows_have_it(stream):
    assert stream.add(read("AB", 10, 20), range(0, 35), 0) == []
    assert text(stream.waiting) == "AB"
    assert text(stream.add(read("ABC", 10, 21, 30), range(0, 45), 0)) == "AB"
    assert text(stream.waiting) == "C"
    assert text(stream.finish(read("ABCD", 10, 21, 30, 44), 0)) == "CD"


def test_it_is_said_as_the_later_window_has_it(stream):
    stream.add(read("A", 10), range(0, 35), 0)
    assert stream.add(read("A", 12), range(0, 45), 0) == read("A", 12)


def test_what_windows_do_not_agree_on_waits_and_holds_up_what_follows(stream):
    stream.add(read("AXC", 10, 20, 30), range(0, 35), 0)
    assert text(stream.add(read("ABC", 10, 20, 30), range(0, 45), 0)) == "A"
    assert text(stream.waiting) == "BC"
    assert text(stream.add(read("ABC", 10, 20, 30), range(0, 55), 0)) == "BC"


def test_a_gloss_that_moves_far_is_another(stream):
    stream.add(read("A", 10), range(0, 35), 0)
    assert stream.add(read("A", 20), range(0, 45), 0) == []


def test_a_gloss_near_the_end_of_a_window_waits(stream):
    stream.add(read("A", 29), range(0, 30), 0)
    assert stream.waiting == []
    assert stream.add(read("A", 29), range(0, 40), 0) == []
    assert text(stream.add(read("A", 29), range(0, 50), 0)) == "A"


def test_what_the_beginning_of_a_window_cuts_off_is_not_looked_at(stream):
    assert text(stream.finish(read("XAB", 22, 35, 45), 25)) == "AB"


def test_a_gloss_is_said_before_it_is_lost(stream):
    """Windows never agree on it: the last one that trusts it decides, and says what lies before it too."""
    stream.add(read("PX", 8, 12), range(0, 35), 5)
    assert text(stream.add(read("QY", 8, 12), range(10, 45), 14)) == "Y"  # P and Q begin before the trusted frames
    assert text(stream.add(read("YB", 13, 20), range(14, 45), 15)) == ""


def test_what_was_said_is_not_said_again_where_it_moved(stream):
    said = stream.finish(read("AB", 10, 20), 0)
    assert text(said) == "AB"
    assert text(stream.finish(read("AB", 12, 24), 0)) == ""


def test_a_sign_that_is_signed_twice_is_said_twice(stream):
    stream.add(read("AA", 10, 18), range(0, 35), 0)
    assert text(stream.add(read("AA", 11, 17), range(0, 45), 0)) == "AA"
    # The first has moved towards where the second was.
    other = LocalAgreement(nearby=4)
    assert text(other.finish(read("A", 10), 0)) == "A"
    assert text(other.finish(read("AA", 8, 14), 0)) == "A"


def test_what_is_read_now_in_the_place_of_what_was_said_is_not_said(stream):
    assert text(stream.finish(read("A", 10), 0)) == "A"
    assert text(stream.finish(read("BC", 12, 20), 0)) == "C"


def test_nothing_is_put_in_before_what_was_said(stream):
    assert text(stream.finish(read("AB", 10, 30), 0)) == "AB"
    assert text(stream.finish(read("AXBC", 10, 20, 30, 40), 0)) == "C"


def test_windows_that_read_the_same_say_all_of_it_once_whatever_shakes():
    """A long sentence through windows of 100 frames, in each of which every gloss lies up to 2 frames off, and cut
    off signs at the ends are misread.
    """
    rng = np.random.default_rng(0)
    for _ in range(20):
        middles = np.cumsum(rng.integers(8, 40, 60))
        letters = rng.choice(list("ABCD"), len(middles))
        truth = list(zip(letters, middles, strict=True))
        stream, said, end = LocalAgreement(nearby=4), [], 0
        while end < middles[-1] + 20:
            end += 10
            start = max(end - 100, 0)
            seen = []
            for letter, middle in truth:
                if start <= middle < end:
                    is_cut = (start and middle < start + 6) or middle > end - 6
                    seen.append(gloss("X" if is_cut else letter, middle + rng.integers(-2, 3)))
            next_start = max(end + 10 - 100, 0)
            trusted = range(start + 12 if start else 0, end - 12)
            said += stream.add(seen, trusted, next_start + 12 if next_start else 0)
        said += stream.finish(seen, start + 12)
        assert text(said) == "".join(letters)
        assert all(abs(gloss.first_frame + 1 - middle) <= 2 for gloss, middle in zip(said, middles, strict=True))
