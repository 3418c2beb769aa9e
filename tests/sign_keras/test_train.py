"""Every configuration through the real command: data and weights that are not there are replaced by tiny ones."""

import json
import sys

import pytest

from sign_keras import train
from tests.conftest import REPOSITORY
from tests.sign_keras.test_config import CONFIGS
from tfrecords_tools.command_line import SUCCESS, UserError
from tfrecords_tools.settings import load_yaml

TINY = {
    "sampling.num_frames": 3,
    "sampling.height": 32,
    "sampling.width": 32,
    "train.epochs": 1,
    "train.batch_size": 8,
}
TINY_BACKBONE = {"model.backbone_width": 0.35, "model.backbone_weights": "none"}
TINY_VIDEO_NET = {"model.width": 4, "model.weights": "none"}
TINY_MODELS = {
    "cnn_lstm": {**TINY_BACKBONE, "model.lstm_units": 4},
    "frame_classifier": {**TINY_BACKBONE, "model.backbone": "mobilenet_v2"},
    "r3d": TINY_VIDEO_NET,
    "r2plus1d": TINY_VIDEO_NET,
    "mc3": TINY_VIDEO_NET,
    "c3d": {**TINY_VIDEO_NET, "model.hidden_units": 8},
}
TINY_ATTENTION = {"model.dim": 8, "model.heads": 2}
TINY_KEYPOINT_MODELS = {
    "keypoint_lstm": {"model.units": [4, 4]},
    "keypoint_gru": {"model.units": [4]},
    "keypoint_transformer": {**TINY_ATTENTION, "model.blocks": 1},
    "keypoint_conv_transformer": {**TINY_ATTENTION, "model.kernel_size": 3, "model.top_units": 8},
}

TINY_SENTENCE_MODELS = {
    "keypoint_ctc": {
        **TINY_KEYPOINT_MODELS["keypoint_conv_transformer"],
        "model.lstm_units": [4],
        "sampling.num_frames": 40,
        "data.unseen_sentences": False,
    },
}
TINY_VIDEO_SENTENCES = {
    **TINY_BACKBONE,
    "model.backbone": "mobilenet_v2",
    "model.lstm_units": [4],
    "sampling.num_frames": 28,
    "sampling.frame_rate": 10,
    "data.unseen_sentences": False,
    "train.accumulate_steps": 1,
    "train.precision": "float32",
}
TINY_VIDEO_SENTENCE_MODELS = {
    "four_stage_ctc": {**TINY_VIDEO_SENTENCES, "model.width": 4, "model.selection.units": 2},
    "resnet_bilstm_ctc": TINY_VIDEO_SENTENCES,
}
# What goes with the tiny records in place of others: points of a body, and a language model of their sentences.
OTHER_RECORDS = {
    "boston104_keypoint_ctc": {
        "model__features__points": "[left_hand, right_hand]",
        "evaluate__decoding__language_model": "learn",
    }
}


@pytest.fixture
def run_train(
    tmp_path, monkeypatch, tiny_records, tiny_keypoint_records, tiny_sentence_records, tiny_video_sentence_records
):
    """``run_train(config, *arguments, **settings)`` runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(config, *arguments, **settings):
        architecture = load_yaml(config)["model"]["architecture"]
        models = TINY_MODELS | TINY_KEYPOINT_MODELS | TINY_SENTENCE_MODELS | TINY_VIDEO_SENTENCE_MODELS
        tiny = TINY | models[architecture]
        records = tiny_keypoint_records if architecture in TINY_KEYPOINT_MODELS else tiny_records
        records = tiny_sentence_records if architecture in TINY_SENTENCE_MODELS else records
        records = tiny_video_sentence_records if architecture in TINY_VIDEO_SENTENCE_MODELS else records
        values = {"records.directory": records} | tiny | {k.replace("__", "."): v for k, v in settings.items()}
        overrides = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
        monkeypatch.setattr(sys, "argv", ["train", "--config", str(config), *overrides, *arguments])
        return train.main()

    return run


# With what a phone needs: one that takes frames, one that takes keypoints, one that streams.
EXPORTED = ("cnn_lstm", "keypoint_conv_transformer", "keypoint_causal_conv", "keypoint_ctc")


# One of each kind by default; sentences have tests of their own.
DEFAULT = ("cnn_lstm", "c3d", "keypoint_transformer", "keypoint_causal_conv")


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(config, marks=[] if config.stem in DEFAULT else pytest.mark.slow, id=config.stem)
        for config in CONFIGS
    ],
)
def test_every_config_trains_evaluates_and_reports(config, run_train, tmp_path, capsys):
    exports = "[savedmodel, tflite]" if config.stem in EXPORTED else "[]"
    settings = OTHER_RECORDS.get(config.stem, {})
    assert run_train(config, export__formats=exports, export__quantization="[none]", **settings) == SUCCESS
    run = tmp_path / "runs" / config.stem
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["split"] == load_yaml(config).get("evaluate", {}).get("split", "test")
    reads_sentences = metrics.get("task") == "continuous"
    assert metrics["word_error_rate"]["wer"] >= 0 if reads_sentences else 0 <= metrics["top1"] <= 1
    picture = "infeasible.csv" if reads_sentences else "confusion_matrix.png"
    for name in ("report.html", picture, "history.csv", "config.yaml", "environment.json"):
        assert (run / name).stat().st_size > 0, name
    last_line = capsys.readouterr().out.strip().splitlines()[-1]
    assert ("WER" if reads_sentences else "top-1") in last_line
    assert "report.html" in last_line
    if exports != "[]":
        assert (tmp_path / "tflite" / f"{config.stem}.tflite").is_file()
        assert (tmp_path / "savedmodels" / config.stem / "saved_model.pb").is_file()
        assert f"tflite/{config.stem}.tflite" in last_line
        report = json.loads((tmp_path / "tflite" / f"{config.stem}.json").read_text())
        assert ("step" in report["latency_ms"]) == (config.stem == "keypoint_causal_conv")


@pytest.mark.slow
def test_a_gloss_for_no_sign_is_learnt_calibrated_and_tested(run_train, tmp_path):
    from sign_keras.confidence import Confidence
    from sign_keras.run import Run

    config = REPOSITORY / "configs/my_signs.yaml"
    settings = {"export__formats": "[]", "data__no_sign": "{share: 0.3}", "evaluate__false_alarm_rate": 0.5}
    assert run_train(config, **settings) == SUCCESS
    run = Run.load(tmp_path / "runs" / "my_signs")
    assert run.label_map.glosses[-1] == "no_sign"
    confidence = Confidence.load(run.directory)
    assert confidence.threshold.chosen_on == "non_signs"
    assert confidence.threshold.false_alarms <= 0.5
    metrics = json.loads((run.directory / "metrics.json").read_text())
    assert metrics["per_gloss"]["no_sign"]["support"] == 0  # the test is of real clips alone
    assert metrics["acceptance"]["false_alarms"]["made_up"]["clips"] == metrics["clips"]
    assert metrics["calibration"]["temperature"] == confidence.temperature
    assert "How sure it is" in (run.directory / "report.html").read_text()
    # What was begun with it goes on with it.
    assert run_train(config, "--resume", **settings) == SUCCESS


def test_missing_records_without_a_recipe_are_one_line(run_train, tmp_path):
    with pytest.raises(UserError, match="holds no dataset_info"):
        run_train(REPOSITORY / "configs/my_signs.yaml", records__directory=tmp_path / "nowhere")


def test_resuming_with_another_configuration_is_refused(run_train):
    config = REPOSITORY / "configs/my_signs.yaml"
    assert run_train(config, export__formats="[]") == SUCCESS
    with pytest.raises(UserError, match=r"differs in train"):
        run_train(config, "--resume", export__formats="[]", train__learning_rate=0.5)
    assert run_train(config, "--resume", export__formats="[]") == SUCCESS


def test_a_second_run_into_the_same_directory_is_refused(run_train):
    config = REPOSITORY / "configs/my_signs.yaml"
    assert run_train(config, export__formats="[]") == SUCCESS
    with pytest.raises(UserError, match="add --resume"):
        run_train(config, export__formats="[]")


def test_a_pause_before_the_first_epoch_is_refused(run_main):
    config = REPOSITORY / "configs/keypoint_gru.yaml"
    status, _, error = run_main(train.main, "--config", config, "--until-epoch", 0)
    assert (status, error) == (2, "error: --until-epoch 0: expected an epoch, from 1\n")
