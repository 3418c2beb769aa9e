import numpy as np
import pytest

import mp_words_enrolment
from divisions import list_clips
from mp_words_enrolment import EmbeddedClips, format_markdown, main, score_enrolments, without_word
from sign_keras.embeddings import Embeddings
from sign_keras.imprinting import Head
from tests.conftest import REPOSITORY
from tests.examples.conftest import STUDY_SIGNERS
from tfrecords_tools.command_line import UserError

WORDS = ("hello", "no", "please")  # the last is enrolled
CENTRES = 6 * np.eye(3, 4)


def clips_of(signers, rng, num_clips=12):
    """Clips of every word by every signer: words have places, clips are around them."""
    glosses = np.repeat(WORDS, num_clips * len(signers))
    values = CENTRES[[WORDS.index(gloss) for gloss in glosses]] + rng.normal(0, 1, (len(glosses), 4))
    return EmbeddedClips(values, glosses, np.tile(np.repeat(signers, num_clips), len(WORDS)))


def test_a_word_that_stands_apart_is_recognised_from_few_clips():
    rng = np.random.default_rng(0)
    head = Head(CENTRES[:2].T, np.zeros(2))
    validation = clips_of(["c"], rng).where(np.repeat([True, True, False], 12))
    known = Embeddings(validation.values, np.array([WORDS.index(gloss) for gloss in validation.glosses]))
    train, tested = clips_of(["a", "b"], rng), clips_of(["d"], rng)
    own = train.where(train.glosses == "please")
    own = own.where(np.arange(24) < 18)  # b has 6 clips: too few for 10
    scores = score_enrolments(head, WORDS[:2], known, own, tested, "please")
    assert scores["0"] == {"others": 1.0}
    enrollers = [list(scores[count]["recall_by_enroller"]) for count in ("1", "5", "10")]
    assert enrollers == [["a", "b"], ["a", "b"], ["a"]]
    assert scores["5"]["recall"] > 0.9
    assert scores["5"]["others"] > 0.9
    # Enrolled from another word's clips, it is not recognised.
    wrong = train.where(train.glosses == "hello")
    assert score_enrolments(head, WORDS[:2], known, wrong, tested, "please")["5"]["recall"] < 0.5
    table = format_markdown({"please": scores})
    assert "| please | 0 |  |  | 1.000 |" in table
    assert f"| please | 10 | {scores['10']['recall']:.3f} |" in table


def test_a_word_is_left_out(study_input):
    clips = list_clips(study_input)
    others = without_word(clips, "hello")
    assert {gloss for of_signer in others.glosses.values() for gloss in of_signer.values()} == {'čaj/"káva", it\'s'}
    assert sum(map(len, others.glosses.values())) == sum(map(len, clips.glosses.values())) / 2
    with pytest.raises(UserError, match="--words bye: nobody signs it; there are hello, čaj"):
        without_word(clips, "bye")


def test_records_without_the_word_are_made_and_trained_on(study_input, tmp_path, monkeypatch, run_main):
    trained = []

    def stop(trainings):
        trained.extend(trainings)
        raise UserError("that is enough")

    monkeypatch.setattr(mp_words_enrolment, "train_all", stop)
    monkeypatch.setattr(mp_words_enrolment, "TABLE", tmp_path / "table.csv")
    status, output, _ = run_main(
        main,
        *("--input", study_input, "--output", tmp_path / "records", "--runs", tmp_path / "runs"),
        *("--config", REPOSITORY / "configs/mp_words_conv_transformer.yaml", "--words", "hello", "--workers", 1),
    )
    assert status == 2
    (training,) = trained
    assert f"records.directory={tmp_path / 'records/without_hello/fold_0'}" in training.overrides
    lines = [line for line in output.splitlines() if "fold_0: train" in line]
    assert len(lines) == 2
    assert str(3 * 2 * (len(STUDY_SIGNERS) - 4)) in lines[0]  # one kept back, three in test and validation
    assert str(3 * (len(STUDY_SIGNERS) - 4)) in lines[1]
