"""What goes with models of one sign, and what with models of sentences."""

import pytest

from sign_keras.config import load_config
from sign_keras.config.training import improves_downwards
from tests.conftest import REPOSITORY
from tfrecords_tools.settings import SettingsError

SENTENCES, SIGNS = REPOSITORY / "configs/keypoint_ctc.yaml", REPOSITORY / "configs/keypoint_conv_transformer.yaml"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sampling.frame_rate=null", "sampling.frame_rate: missing; sentences differ in length"),
        ("data.augment.shift=0.1", "data.augment.shift: would cut a sentence's first or last sign"),
        ("data.mix.mixup=0.2", "data.mix: blends labels"),
        ("data.oversample=0.5", "data.oversample: counts clips of one gloss"),
        ("data.shuffle_labels=true", "data.shuffle_labels: deals labels of one gloss"),
        ("data.no_sign={}", "data.no_sign: CTC's blank says so"),
        ("train.loss=focal", "train.loss: sentences are learnt by the CTC loss"),
        ("train.label_smoothing=0.1", "train.label_smoothing: is of cross-entropy"),
        ("train.class_weights=balanced", "train.class_weights: is of cross-entropy"),
        ("train.logit_adjustment=1", "train.logit_adjustment: is of cross-entropy"),
        ("train.loss_weights.ctc=3", "train.loss_weights: the model learns by one loss"),
        ("train.loss_weighting=gradnorm", "train.loss_weighting: the model learns by one loss"),
        ("train.monitor=val_top1", "train.monitor: val_top1 is of isolated signs; use val_wer"),
        ("train.schedule={name: plateau, monitor: val_top1}", "train.monitor: val_top1 is of isolated signs"),
        ("evaluate.views.crops=3", "evaluate.views: averages answers to one sign"),
        ("evaluate.unknown_records=elsewhere", "evaluate.unknown_records: are of models that answer with one sign"),
        ("evaluate.decoding.tune=true", "tune: are of method=beam"),
        ("model.pooling=mean", "model.pooling: does not go with keypoint_ctc"),
    ],
)
def test_what_does_not_go_with_sentences_is_one_line(override, message):
    with pytest.raises(SettingsError) as error:
        load_config(SENTENCES, [override])
    assert message in str(error.value)
    assert str(error.value).count("\n") == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.monitor=val_wer", "train.monitor: val_wer is of models that read sentences"),
        ("data.unseen_sentences=true", "data.unseen_sentences: the model reads one sign"),
        ("evaluate.decoding.method=beam", "evaluate.decoding: the model reads one sign"),
    ],
)
def test_what_does_not_go_with_one_sign_is_one_line(override, message):
    with pytest.raises(SettingsError) as error:
        load_config(SIGNS, [override])
    assert message in str(error.value)


def test_a_loss_whose_weights_are_learned_tells_no_epochs_apart():
    config = REPOSITORY / "configs/four_stage_ctc_small.yaml"
    assert load_config(config, ["train.loss_weighting=gradnorm"]).train.loss_weighting.alpha == 0.12
    with pytest.raises(SettingsError, match="val_loss changes with the weights that uncertainty learns"):
        load_config(config, ["train.loss_weighting=uncertainty", "train.monitor=val_loss"])


def test_faults_of_all_sections_are_named_at_once():
    with pytest.raises(SettingsError) as error:
        load_config(SENTENCES, ["train.loss=focal", "data.oversample=1"])
    assert "train.loss" in str(error.value)
    assert "data.oversample" in str(error.value)


def test_sentences_cannot_be_averaged():
    member = "{architecture: keypoint_ctc}"
    with pytest.raises(SettingsError, match="members: some read sentences"):
        load_config(SENTENCES, [f"model={{architecture: ensemble, members: [{member}, {member}]}}"])


@pytest.mark.parametrize(("monitor", "downwards"), [("val_loss", True), ("val_wer", True), ("val_top1", False)])
def test_error_rates_improve_downwards(monitor, downwards):
    assert improves_downwards(monitor) == downwards
