import itertools
from collections import Counter

import numpy as np
import pytest

from examples.spliced_sentences import LONGEST_PIECE, chance, cuts_between_words, pieces_of, splice
from tfrecords_tools.array_records import ArrayClip

SIGNERS = {"woman-1": 4, "man-1": 3}


def sentence(signer: str, number: int, split: str = "train") -> ArrayClip:
    """Six words of four frames and a frame between two; each frame holds its word's number everywhere."""
    numbers = [number * 10 + place for place in range(6)]
    frames = np.repeat(numbers, 5)[:-1]
    segments = " ".join(f"{5 * place}:{5 * place + 4}" for place in range(6))
    columns = {"glosses": " ".join(f"{signer}/{of}" for of in numbers), "signer": signer, "split": split}
    array = np.broadcast_to(frames[:, None, None], (len(frames), 3, 2)).astype(np.float32)
    return ArrayClip(f"{signer}_{number}.npy", array, columns | {"segments": segments})


@pytest.fixture
def sentences() -> list[ArrayClip]:
    made = [sentence(signer, number) for signer, count in SIGNERS.items() for number in range(count)]
    return [*made, sentence("man-1", 9, "validation"), sentence("man-2", 9, "test")]


def test_cuts_are_in_the_middle_between_words():
    clip = ArrayClip("1.npy", np.zeros((90, 3, 2)), {"segments": "8:18 22:51 50:78"})
    assert cuts_between_words(clip) == [0, 20, 51, 90]


def test_frames_stay_with_their_glosses(sentences):
    for clip in splice(sentences, 20):
        assert clip.columns["split"] == "train"
        shown = [clip.array[0, 0, 0]]
        shown += [after for before, after in itertools.pairwise(clip.array[:, 0, 0]) if before != after]
        signer = clip.columns["signer"]
        glosses = [gloss for gloss, _ in itertools.groupby(clip.columns["glosses"].split())]
        assert glosses == [f"{signer}/{int(number)}" for number in shown]


def test_words_come_from_training_alone_and_the_signer_keeps_them(sentences):
    used = {gloss for clip in splice(sentences, 200) for gloss in clip.columns["glosses"].split()}
    assert used == {
        f"{signer}/{10 * number + place}"
        for signer, count in SIGNERS.items()
        for number in range(count)
        for place in range(6)
    }


def test_pieces_are_up_to_three_words_that_follow_each_other():
    pieces = list(pieces_of(sentence("x", 0)))
    assert Counter(len(glosses) for _, glosses in pieces) == {1: 6, 2: 5, 3: 4}
    assert [glosses for _, glosses in pieces[:3]] == [["x/0"], ["x/0", "x/1"], ["x/0", "x/1", "x/2"]]
    assert sum(len(array) for array, glosses in pieces if len(glosses) == 1) == 29


def test_a_gloss_a_hundred_times_as_frequent_is_drawn_ten_times_as_often():
    columns = {"signer": "x", "split": "train", "segments": "0:9"}
    made = [ArrayClip(f"{n}.npy", np.zeros((9, 3, 2)), {"glosses": "JOHN", **columns}) for n in range(100)]
    made.append(ArrayClip("rare.npy", np.zeros((9, 3, 2)), {"glosses": "PEN", **columns}))
    drawn = Counter(clip.columns["glosses"] for clip in splice(made, 4000))
    assert drawn["JOHN"] / drawn["PEN"] == pytest.approx(10, rel=0.2)


def test_as_many_words_come_alone_as_in_pairs():
    even = Counter("ABCD")
    assert chance("A", even) == 2 * chance("AB", even) == 3 * chance("ABC", even)


def test_signers_take_turns_and_no_sentence_is_longer_than_those_there_are(sentences):
    clips = list(splice(sentences, 9))
    assert Counter(clip.columns["signer"] for clip in clips) == {"man-1": 5, "woman-1": 4}
    assert max(len(clip.array) for clip in clips) <= 29
    assert min(len(clip.array) for clip in clips) > 29 - 5 * LONGEST_PIECE
    assert len({clip.path for clip in clips}) == 9


def test_spliced_sentences_are_new_and_the_same_again(sentences):
    known = {clip.columns["glosses"] for clip in sentences}
    first, again, other = (
        [clip.columns["glosses"] for clip in splice(sentences, 30, seed=seed)] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert not known & set(first)


def test_sentences_that_cannot_be_cut_are_left_alone(sentences):
    short = ArrayClip("s.npy", np.zeros((9, 3, 2)), {"glosses": "A B", "signer": "x", "split": "train"})
    short.columns["segments"] = "0:2 2:9"
    assert not any(clip.columns["signer"] == "x" for clip in splice([*sentences, short], 30))
    assert list(splice([short], 5)) == []
