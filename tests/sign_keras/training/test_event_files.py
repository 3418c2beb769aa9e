"""Event files of TensorBoard after a kill, without a training."""

import tensorflow as tf

from sign_keras.training.event_files import forget_epochs
from tests.sign_keras.training.interrupted import events


def write(folder, epochs, updates_per_epoch=3):
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        tf.summary.text("config", "name: tiny", step=0)
        for epoch in epochs:
            tf.summary.scalar("epoch_loss", 0.5, step=epoch)
            tf.summary.scalar("evaluation_loss_vs_iterations", 0.5, step=(epoch + 1) * updates_per_epoch)
    writer.close()


def steps(folder):
    return {tag: [step for step, _ in values] for tag, values in events(folder).items()}


def test_epochs_that_are_trained_again_are_forgotten(tmp_path):
    write(tmp_path / "train", range(3))
    write(tmp_path / "validation", range(2))
    untouched = {path: path.read_bytes() for path in (tmp_path / "validation").iterdir()}
    forget_epochs(tmp_path, 2, updates_per_epoch=3)
    expected = {"config": [0], "epoch_loss": [0, 1], "evaluation_loss_vs_iterations": [3, 6]}
    assert steps(tmp_path / "train") == expected
    assert {path: path.read_bytes() for path in (tmp_path / "validation").iterdir()} == untouched
    write(tmp_path / "train", [2])
    assert steps(tmp_path / "train")["epoch_loss"] == [0, 1, 2]


def test_a_file_that_a_kill_cut_off_is_mended(tmp_path):
    write(tmp_path, range(3))
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    forget_epochs(tmp_path, 3, updates_per_epoch=3)
    assert steps(tmp_path) == {"config": [0], "epoch_loss": [0, 1, 2], "evaluation_loss_vs_iterations": [3, 6]}
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_a_run_without_a_board_has_nothing_to_forget(tmp_path):
    forget_epochs(tmp_path / "nowhere", 0, updates_per_epoch=3)
