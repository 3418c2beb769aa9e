import numpy as np

from tfrecords_tools.synthetic import SIGN_PARAMETERS, training_clip
from tfrecords_tools.synthetic.signs import LEXICON
from tfrecords_tools.synthetic.training_clips import random_sign


def test_a_training_clip_follows_from_its_seed_alone():
    first, second = (training_clip(np.random.default_rng(5), num_frames=3, size=96) for _ in range(2))
    assert first.film.frames.shape == (3, 96, 96, 3)
    np.testing.assert_array_equal(first.film.frames, second.film.frames)
    assert first.labels == second.labels


def test_labels_index_the_values_of_each_parameter():
    labels = training_clip(np.random.default_rng(6), num_frames=1, size=64).labels
    assert set(labels) == set(SIGN_PARAMETERS)
    assert all(0 <= index < len(SIGN_PARAMETERS[name]) for name, index in labels.items())


def test_random_signs_cover_every_value_and_none_is_a_gloss():
    rng = np.random.default_rng(7)
    signs = [random_sign(rng) for _ in range(600)]
    assert not set(signs) & set(LEXICON.values())
    assert {sign.movement for sign in signs} == set(SIGN_PARAMETERS["movement"])
    assert {sign.shape for sign in signs} == set(SIGN_PARAMETERS["shape"]) - {"relaxed"}
    changing = [sign for sign in signs if sign.end_shape]
    assert changing
    assert all(sign.movement == "alternate" and sign.end_shape != sign.shape for sign in changing)
