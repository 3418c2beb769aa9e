"""What is said of trainings that were made ill, one illness each."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sign_keras.config import load_config
from sign_keras.doctor import __main__ as command
from sign_keras.doctor import training as doctor
from sign_keras.doctor.training import Training, look_at_training
from sign_keras.run import Run
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.label_map import LabelMap

EPOCHS = 20


def well_trained(*overrides, **columns):
    """A training in which all is well, but for what is given."""
    fall = np.exp(-np.arange(EPOCHS) / 4)
    history = {
        "epoch": np.arange(1.0, EPOCHS + 1),
        "loss": 0.3 + 2 * fall,
        "top1": 0.9 - 0.8 * fall,
        "val_loss": np.append(0.4 + 2 * fall[:-2], [0.42, 0.42]),
        "val_top1": 0.85 - 0.8 * fall,
    }
    config = load_config(Path("configs/cnn_lstm.yaml"), ["train.epochs=20", *overrides])
    glosses = {"hello": 20, "no": 20, "yes": 16}
    splits = {
        "train": SimpleNamespace(glosses=glosses, clips=56, signers={"a": 56}),
        "validation": SimpleNamespace(glosses=glosses, clips=56, signers={"b": 30, "c": 26}),
    }
    scores = {gloss: {"recall": 0.8, "support": 10} for gloss in glosses}
    return Training(
        config,
        SimpleNamespace(splits=splits),
        history | {name: np.asarray(values, float) for name, values in columns.items()},
        {"per_gloss": scores},
        [gloss for gloss in glosses for _ in range(10)],
    )


def changed(values, places):
    values = np.array(values, float)
    for place, value in places.items():
        values[place] = value
    return values


def findings(look, training):
    return [(finding.level, finding.what) for finding in look(training)]


def test_a_healthy_training_has_nothing_but_ok():
    assert {finding.level for finding in look_at_training(well_trained())} == {"ok"}


def test_still_improving():
    ((level, what),) = findings(doctor.progress, well_trained(val_loss=np.linspace(2, 1, EPOCHS)))
    assert (level, what) == (
        "note",
        "20 of 20 epochs, the best of them the 20. by val_loss: still improving when it ended",
    )


def test_interrupted_and_stopped_early():
    assert "interrupted" in findings(doctor.progress, well_trained("train.epochs=30"))[0][1]
    stopped = well_trained(
        "train.epochs=30",
        "train.early_stopping_patience=10",
        val_loss=changed(np.full(EPOCHS, 1.0), {9: 0.5}),
    )
    assert findings(doctor.progress, stopped)[0][0] == "ok"
    # The best epoch is among the last twentieth, and more epochs would still change nothing.
    late = well_trained(
        "train.epochs=30",
        "train.early_stopping_patience=1",
        epoch=np.arange(1.0, 26),
        val_loss=changed(np.full(25, 1.0), {23: 0.5}),
    )
    assert findings(doctor.progress, late)[0][0] == "ok"


def test_it_learns_nothing():
    ((level, what),) = findings(doctor.learning, well_trained(top1=np.full(EPOCHS, 0.4)))
    assert level == "problem"
    assert "top-1 0.40" in what
    assert "gives 0.36" in what  # 20 of 56 clips


def test_it_learns_where_one_gloss_has_most_of_the_clips():
    training = well_trained(top1=np.full(EPOCHS, 0.95))
    training.info.splits["train"].glosses.update(hello=80, no=10, yes=10)
    assert findings(doctor.learning, training)[0][0] == "ok"
    training.history["top1"][:] = 0.8
    assert findings(doctor.learning, training)[0][0] == "problem"


def test_a_spike_is_counted_once_and_named_with_its_height():
    loss = changed(np.linspace(2, 1, EPOCHS), {10: 6, 11: 4, 15: 1.9})
    ((level, what),) = findings(doctor.spikes, well_trained(loss=loss))
    assert level == "note"
    assert what.startswith("the training loss jumped 2 time(s), in epoch 11, 16; most in epoch 11, to 6 from 1.5")


def test_a_jump_where_a_stage_begins_to_learn_is_no_spike():
    loss = changed(np.linspace(2, 1, EPOCHS), {10: 6})
    assert findings(doctor.spikes, well_trained("train.unfreeze={11: [lstm]}", loss=loss))[0][0] == "ok"


def test_overfitting_by_score_and_by_loss():
    ((level, what),) = findings(
        doctor.overfitting,
        well_trained(
            val_top1=np.full(EPOCHS, 0.5), val_loss=np.append(np.linspace(2, 1, 10), np.linspace(1, 2, 10))
        ),
    )
    assert level == "note"
    assert "top-1 0.89 on training clips and 0.50 on validation clips" in what
    assert "validation loss 1.89 at the end and 1 in epoch 10" in what


def test_one_answer_to_everything():
    training = well_trained()
    training.answers[:] = ["yes"] * 25 + ["no"] * 5
    ((level, what),) = findings(doctor.one_answer, training)
    assert (level, what) == ("problem", "'yes' is the answer to 25 of 30 evaluated clips, and right for 10 at most")


def test_glosses_that_are_never_recognised():
    training = well_trained()
    training.metrics["per_gloss"]["no"]["recall"] = 0.0
    training.metrics["per_gloss"]["yes"] = {"recall": 0.0, "support": 2}  # too few to say
    ((level, what),) = findings(doctor.unlearnt_glosses, training)
    assert (level, what) == ("note", "1 of 2 glosses were never recognised: no (20 training clips)")


def test_glosses_of_sentences_that_are_never_recognised():
    training = well_trained()
    sentences = Training(
        load_config(Path("configs/keypoint_ctc.yaml")),
        training.info,
        training.history | {"wer": np.full(EPOCHS, 0.1)},
        {"per_gloss": {"hello": {"signed": 5, "hits": 4}, "no": {"signed": 5, "hits": 0}}},
        [""],
    )
    assert findings(doctor.learning, sentences) == [("ok", "WER 0.10 on training sentences at the end")]
    assert findings(doctor.unlearnt_glosses, sentences)[0][1].startswith("1 of 2 glosses were never recognised: no")


def test_imbalance_and_its_remedies():
    def uneven(*overrides):
        training = well_trained(*overrides)
        training.info.splits["train"].glosses["rare"] = 2
        return findings(doctor.imbalance, training)[0]

    assert uneven() == (
        "note",
        "'hello' has 20 training clips, 'rare' 2: 10 times as many, and nothing makes up for it",
    )
    assert uneven("train.logit_adjustment=1")[0] == "ok"
    even = well_trained()
    even.info.splits["train"].glosses.update(hello=16, no=16)
    assert findings(doctor.imbalance, even) == [("ok", "each gloss has 16 training clips")]
    assert uneven("data.oversample=0.5")[0] == "ok"


def test_few_validation_clips():
    training = well_trained()
    training.info.splits["validation"].clips = 20
    ((level, what),) = findings(doctor.validation_size, training)
    assert level == "note"
    assert what.endswith("20 validation clips of 2 signers: one clip is 5 points")


def test_gradients_that_arrive_everywhere_are_well():
    healthy = well_trained(gradient_norm=np.full(EPOCHS, 2.0), gradient_norm_lstm=np.full(EPOCHS, 0.01))
    ((level, what),) = findings(doctor.gradients, healthy)
    assert (level, what) == ("ok", "gradients arrive at 1 stages, of length 2 in all at the end")
    assert findings(doctor.gradients, well_trained()) == []  # a history without any


def test_a_stage_at_which_nothing_arrives_is_dead():
    late = changed(np.full(EPOCHS, 1.0), dict.fromkeys(range(-3, 0), 1e-5))
    ((level, what),) = findings(
        doctor.gradients,
        well_trained(
            gradient_norm=np.full(EPOCHS, 2.0),
            gradient_norm_stem=np.zeros(EPOCHS),
            gradient_norm_lstm=late,
            gradient_norm_logits=np.full(EPOCHS, 2.0),
            gradient_norm_frozen=np.full(EPOCHS, np.nan),
        ),
    )
    assert level == "problem"
    assert what == (
        "nothing arrives at 2 of 3 stages that should learn: stem (0 of the whole gradient), "
        "lstm (5e-06 of the whole gradient)"
    )
    late[-2] = 1.0  # not all of the last epochs
    training = well_trained(gradient_norm=np.full(EPOCHS, 2.0), gradient_norm_lstm=late)
    assert findings(doctor.gradients, training)[0][0] == "ok"


def test_nothing_learns_where_the_whole_gradient_is_0():
    ((level, what),) = findings(doctor.gradients, well_trained(gradient_norm=np.zeros(EPOCHS)))
    assert (level, what) == ("problem", "the gradient is 0 in the last 3 epoch(s): nothing learns any more")


def test_a_gradient_that_explodes_is_named_with_its_stage_and_epoch():
    norm = changed(np.full(EPOCHS, 2.0), {12: 30.0})
    ill = well_trained(gradient_norm=norm, gradient_norm_lstm=changed(np.full(EPOCHS, 1.0), {12: 29.0}))
    ((level, what),) = findings(doctor.gradients, ill)
    assert level == "problem"
    assert what == (
        "the gradient exploded: at lstm it is 29 long in epoch 13, 29 times as long as in the epochs before"
    )
    begins = well_trained("train.unfreeze={13: [lstm]}", gradient_norm=np.repeat([1.0, 30.0], [12, 8]))
    assert findings(doctor.gradients, begins)[0][0] == "ok"
    # Where all clips are learnt by heart, a gradient that is many times almost nothing is still almost nothing.
    learnt = changed(np.geomspace(1, 1e-6, EPOCHS), {-1: 0.01})
    assert findings(doctor.gradients, well_trained(gradient_norm=learnt))[0][0] == "ok"


def test_waiting_for_clips_is_judged_by_epochs_after_the_first():
    waits = changed(np.full(EPOCHS, 0.35), {0: 0.9, 4: 0.0})
    ((level, what),) = findings(doctor.waiting, well_trained(input_wait=waits))
    assert (level, what) == (
        "note",
        "35% of the time of training was spent waiting for clips, where 20% would pass",
    )
    cached = doctor.waiting(well_trained("data.cache=memory", input_wait=waits))[0].fix
    assert cached.startswith("data.cache is memory already")
    assert findings(doctor.waiting, well_trained(input_wait=changed(waits * 0, {0: 0.9})))[0][0] == "ok"
    assert findings(doctor.waiting, well_trained()) == []


@pytest.mark.parametrize("ill", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_real_training_with_a_dead_stage_and_slow_records(ill, tmp_path, tiny_config, monkeypatch):
    """Its units are all below 0, where a ReLU gives nothing; and each batch takes as long as many steps."""
    import tensorflow as tf

    from sign_keras.data.dataset import Records
    from sign_keras.training.trainer import train
    from tests.sign_keras.training.test_trainer import small_model, start

    def build():
        model = small_model()
        if ill:
            model.get_layer("layer1").get_layer("norm").beta.assign(tf.fill([8], -1e3))
        return model

    def wait(labels):
        time.sleep(0.3)
        return labels

    def slowly(self, *arguments, **options):
        batches = training_batches(self, *arguments, **options)

        def late(inputs, labels):
            return inputs, tf.ensure_shape(tf.numpy_function(wait, [labels], labels.dtype), labels.shape)

        return batches.map(late)

    training_batches = Records.training_batches
    if ill:
        monkeypatch.setattr(Records, "training_batches", slowly)
    run, records = start(tiny_config(train={"epochs": 2, "batch_size": 1}), tmp_path / "run")
    train(run, records, build, resume=False)
    training = Training.load(run.directory)
    ((level, what),) = findings(doctor.gradients, training)
    waits = findings(doctor.waiting, training)
    if not ill:
        assert (level, what.partition(",")[0]) == ("ok", "gradients arrive at 3 stages")
        return
    assert level == "problem"
    assert what.startswith(
        "nothing arrives at 2 of 3 stages that should learn: layer1 (0 of the whole gradient), stem"
    )
    assert waits[0][0] == "note"
    assert "spent waiting for clips, where 20% would pass" in waits[0][1]


def test_a_run_directory(tmp_path, tiny_config, tiny_records, run_main):
    config = tiny_config(train={"epochs": 3})
    run = Run.create(
        tmp_path / "run", config, LabelMap.load(tiny_records / "label_map.json"), DatasetInfo.load(tiny_records)
    )
    status, _, error = run_main(command.main, "--run", run.directory)
    assert status == 2
    assert "no epoch has ended yet" in error
    (run.directory / "history.csv").write_text(
        "epoch,loss,top1,val_loss,val_top1\n1,2,0.3,2,0.3\n2,1,0.8,1,0.7\n3,0.9,0.9,1.01,0.85\n"
    )
    (run.directory / "predictions.csv").write_text("media_id,predicted\na,hello\n")
    scores = {"hello": {"recall": 0.5, "support": 2}}
    (run.directory / "metrics.json").write_text(json.dumps({"per_gloss": scores}))
    status, printed, _ = run_main(command.main, "--run", run.directory)
    assert status == 0
    assert "3 of 3 epochs, the best of them the 2. by val_loss" in printed
    assert printed.splitlines()[-1] == "1 note"  # few clips to choose the epoch by


def test_no_run_directory(tmp_path):
    with pytest.raises(UserError, match="is no run directory"):
        Training.load(tmp_path)
