import numpy as np
import tensorflow as tf

from sign_keras.training.callbacks import EpochTimes
from sign_keras.training.state import TrainingState
from sign_keras.training.tensorboard import RunBoard, draw_confusion
from tests.sign_keras.training.interrupted import events
from tests.sign_keras.training.tiny_learning import GLOSSES, clips, fit, tiny_recipe


def test_a_board_has_rates_confusion_and_configuration(tmp_path):
    recipe = tiny_recipe(learning_rates={"logits": 0.2}, learning_rate=0.05)
    board = RunBoard(tmp_path, config_yaml="name: tiny\nseed: 3", glosses=GLOSSES, confusion=recipe.confusion)
    times = EpochTimes(recipe.config.learning_rates, recipe.config.learning_rate, TrainingState())
    validation = clips(5, seed=1)
    fit(recipe, epochs=2, validation_data=validation, callbacks=[times, board])
    found = events(tmp_path)
    np.testing.assert_allclose([value for _, value in found["epoch_learning_rate"]], [0.05] * 2)
    np.testing.assert_allclose([value for _, value in found["epoch_learning_rate_logits"]], [0.2] * 2)
    assert {"epoch_loss", "epoch_top1", "epoch_top5"} <= found.keys()
    assert [step for step, _ in found["confusion"]] == [0, 1]
    assert b"    seed: 3" in found["config"][0][1].item()
    # The picture is of the last validation alone: every clip once.
    matrix = recipe.confusion.matrix
    predicted = recipe.learner.predict(validation[0], verbose=0).argmax(axis=1)
    expected = np.zeros((4, 4), np.int64)
    np.add.at(expected, (validation[1], predicted), 1)
    np.testing.assert_array_equal(matrix, expected)
    _, _, png = found["confusion"][-1][1]
    picture = tf.io.decode_png(png).numpy()
    np.testing.assert_array_equal(picture, draw_confusion(matrix, GLOSSES))


def test_a_large_matrix_is_drawn_cell_by_cell():
    matrix = np.diag(np.full(100, 3))
    matrix[7, :2] = 3  # a third each, with its own
    picture = draw_confusion(matrix, [f"gloss {index}" for index in range(100)])
    assert picture.shape == (500, 500, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[35:40, 0:10], 170)
    np.testing.assert_array_equal(picture[0:5, 0:5], 0)
    np.testing.assert_array_equal(picture[0:5, 5:], 255)


def test_names_that_look_like_formulas_or_lack_glyphs_are_drawn():
    picture = draw_confusion(np.eye(3), ["$x", "手話", "a_b"])
    assert picture.min() == 0
    assert picture.max() == 255
