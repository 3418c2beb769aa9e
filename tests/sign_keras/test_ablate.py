import csv
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from sign_keras import ablate
from sign_keras.config import load_config
from sign_keras.studies import trainings
from sign_keras.studies.ablation import load_study, plan_trainings
from tests.conftest import REPOSITORY

SIGNS = """
seeds: [1, 2]
settings: {train.epochs: 3}
variants:
  as configured: {}
  no mirroring: {data.augment.mirror: 0}
  "other records": {records.prepare.settings: {crop: {mode: full}}}
"""
SENTENCES = """
seeds: [1, 2]
variants:
  full: {}
  no LSTM dropout: {model.lstm_dropout: 0}
"""
CONFIG = REPOSITORY / "configs/keypoint_gru.yaml"
SENTENCE_CONFIG = REPOSITORY / "configs/keypoint_ctc.yaml"


def write_table(run: Path, rows: list[dict[str, object]]) -> None:
    with (run / "predictions.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_signs(run: Path) -> None:
    """4 signers, 2 clips each; without mirroring the first 4 clips are mistaken, with other records the first 2."""
    wrong = {"as_configured": 0, "no_mirroring": 4, "other_records": 2}[run.name[:-7]]
    names = [(f"s{signer}", gloss) for signer in range(4) for gloss in ("hello", "thanks")]
    write_table(
        run,
        [
            {"media_id": signer + gloss, "signer": signer, "gloss": gloss, "predicted": said}
            for number, (signer, gloss) in enumerate(names)
            for said in ["yes" if number < wrong else gloss]
        ],
    )


def write_sentences(run: Path) -> None:
    """4 signers, a sentence of 3 glosses each. With everything nobody is misread; else everybody by one error, and
    with seed 2 by two.
    """
    errors = 0 if run.name.startswith("full") else int(run.name[-1])
    write_table(
        run,
        [
            {
                "media_id": f"s{signer}",
                "signer": f"s{signer}",
                "reference": "hello thanks yes",
                "hypothesis": "",
                "substitutions": min(errors, 1),
                "deletions": max(errors - 1, 0),
                "insertions": 0,
            }
            for signer in range(4)
        ],
    )


@pytest.fixture
def commands(monkeypatch):
    """The commands that would have trained; each leaves an evaluated run behind."""
    made = []

    def run(command):
        made.append(command)
        overrides = [command[place + 1] for place, text in enumerate(command) if text == "--set"]
        config = load_config(Path(command[command.index("--config") + 1]), overrides)
        folder = Path(command[command.index("--run-dir") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(config.to_yaml())
        (write_signs if config.model.task == "isolated" else write_sentences)(folder)
        (folder / "history.csv").write_text("epoch,seconds\n1,90\n2,30\n")
        for name in ("metrics.json", "report.html"):
            (folder / name).write_text("{}")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(trainings, "subprocess", SimpleNamespace(run=run))
    return made


@pytest.fixture
def arguments(tmp_path):
    """Of an ablation of isolated signs."""
    (tmp_path / "signs.yaml").write_text(SIGNS)
    return ("--config", CONFIG, "--study", tmp_path / "signs.yaml", "--runs", tmp_path / "runs")


def test_every_variant_is_trained_with_every_seed_as_the_study_says(arguments, tmp_path, run_main, commands):
    status, out, _ = run_main(ablate.main, *arguments, "--set", "train.batch_size=5")
    assert status == 0
    runs = [Path(command[command.index("--run-dir") + 1]).name for command in commands]
    assert runs[:4] == [
        "as_configured_seed_1",
        "no_mirroring_seed_1",
        "other_records_seed_1",
        "as_configured_seed_2",
    ]
    assert f"training 6 of 6: {tmp_path / 'runs' / runs[-1]}; about 1 min left" in out
    configs = {name: load_config(tmp_path / "runs" / name / "config.yaml") for name in runs}
    assert {(config.train.epochs, config.train.batch_size) for config in configs.values()} == {(3, 5)}
    assert configs["no_mirroring_seed_2"].data.augment.mirror == 0 != configs[runs[0]].data.augment.mirror
    assert configs["other_records_seed_1"].records.prepare.settings == {"crop": {"mode": "full"}}
    assert [config.seed for config in configs.values()] == [1, 1, 1, 2, 2, 2]
    assert configs[runs[0]].export.formats == ()


def test_variants_of_isolated_signs_are_compared_with_the_first(arguments, tmp_path, run_main, commands):
    status, out, _ = run_main(ablate.main, *arguments)
    assert status == 0
    variants = json.loads((tmp_path / "runs/ablation.json").read_text())["variants"]
    assert {name: (scores["top1"], scores["macro_recall"]) for name, scores in variants.items()} == {
        "as configured": (1.0, 1.0),
        "no mirroring": (0.5, 0.5),
        "other records": (0.75, 0.75),
    }
    assert "difference" not in variants["as configured"]
    assert variants["no mirroring"]["difference"]["top1"]["difference"] == -0.5
    row = "| no mirroring | 0.500, 0.000 to 1.000 | 0.500 | 0.500 | -0.500, -1.000 to +0.000 |"
    assert out.count(row) == 2  # top-1, and macro recall
    assert "| no mirroring | 2.0 (2) | 2.0 (2) |" in out
    assert (tmp_path / "runs/ablation.md").read_text() in out


def test_variants_for_sentences_are_compared_by_word_error_rate(tmp_path, run_main, commands):
    (tmp_path / "study.yaml").write_text(SENTENCES)
    arguments = ("--config", SENTENCE_CONFIG, "--study", tmp_path / "study.yaml", "--runs", tmp_path / "runs")
    status, out, _ = run_main(ablate.main, *arguments)
    assert status == 0
    variants = json.loads((tmp_path / "runs/ablation.json").read_text())["variants"]
    changed = variants["no LSTM dropout"]
    assert (changed["wer"], changed["words"], changed["clips"], changed["signers"]) == (0.5, 12, 4, 4)
    assert [of_run["wer"] for of_run in changed["each"].values()] == pytest.approx([1 / 3, 2 / 3])
    assert changed["error_types"] == {"substitutions": 4.0, "deletions": 2.0, "insertions": 0.0}
    # Everybody is misread alike: whoever is drawn, the difference is the same.
    assert "| no LSTM dropout | 0.500, 0.500 to 0.500 | 0.333 | 0.667 | +0.500, +0.500 to +0.500 |" in out
    page = (tmp_path / "runs/ablation.html").read_text()
    assert "no LSTM dropout: 0.500, interval 0.500 to 0.500" in page
    assert "4 clips of 4 signers" in page
    assert "Less is better" in page
    assert "://" not in page  # nothing is loaded from anywhere


def test_what_is_done_is_not_done_again(arguments, tmp_path, run_main, commands):
    assert run_main(ablate.main, *arguments, "--only", "no mirroring")[0] == 0
    assert len(commands) == 2
    assert not (tmp_path / "runs/ablation.md").exists()
    # Killed between two of the evaluation's files.
    (tmp_path / "runs/no_mirroring_seed_2/report.html").unlink()
    commands.clear()
    status, out, _ = run_main(ablate.main, *arguments)
    assert status == 0
    assert "1 of 6 trainings are done already" in out
    assert [command[-1] for command in commands].count("--resume") == 1
    status, _, error = run_main(ablate.main, *arguments, "--only", "no mirror")
    assert status == 2
    assert "--only no mirror: no variant; there are as configured, no mirroring, other records" in error


@pytest.mark.parametrize(
    ("study", "fault"),
    [
        ("seeds: [1]\nvariants: {one: {}}", "variants"),
        ("seeds: []\nvariants: {one: {}, two: {seed: 1}}", "seeds"),
        ("seeds: [1]\nvariants: {a b: {}, a-b: {train.epochs: 1}}", "punctuation"),
        ("seeds: [", "no valid YAML"),
        ("seeds: [1]\nvariants: {one: {}, two: {train.epoch: 1}}", "variant 'two': "),
        ("seeds: [1]\nvariants: {one: {}, two: {train.epochs: 60}}", "'two': is the same configuration as 'one'"),
    ],
)
def test_faults_are_named_before_anything_is_trained(study, fault, tmp_path, run_main, commands):
    (tmp_path / "study.yaml").write_text(study)
    overrides = ("--set", "train.epochs=60")
    arguments = ("--config", CONFIG, "--runs", tmp_path / "runs", *overrides)
    status, _, error = run_main(ablate.main, *arguments, "--study", tmp_path / "study.yaml")
    assert status == 2
    assert fault in error
    assert error.count("\n") == 1
    assert commands == []


def test_a_configuration_without_a_study_is_told_where_it_would_be(tmp_path, run_main):
    status, _, error = run_main(ablate.main, "--config", CONFIG, "--runs", tmp_path)
    assert status == 2
    assert "configs/ablations/keypoint_gru.yaml: no such file (studies there: " in error
    assert "r2plus1d_18" in error


STUDIES = sorted((REPOSITORY / "configs/ablations").glob("*.yaml"))


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_studies_are_of_a_configuration_and_change_settings_that_there_are(file, tmp_path):
    config = REPOSITORY / "configs" / file.name
    study = load_study(file)
    assert load_config(config).name == file.stem
    configs = {training.load_config().model_dump_json() for training in plan_trainings(study, config, tmp_path)}
    assert len(configs) == len(study.variants) * len(study.seeds)


def test_help_needs_no_tensorflow(assert_help_is_quick):
    assert_help_is_quick("sign_keras.ablate")


def test_variants_of_the_four_stage_model_have_the_stages_that_they_name(tmp_path):
    from sign_keras.models import build_model
    from sign_keras.models.clip_inputs import KINETICS, ClipInput
    from sign_keras.training.freezing import Freezing

    file = REPOSITORY / "configs/ablations/four_stage_ctc.yaml"
    planned = plan_trainings(load_study(file), REPOSITORY / "configs/four_stage_ctc.yaml", tmp_path)
    losses = {}
    for training in planned[: len(planned) // 2]:
        config = training.load_config()
        sampling = config.sampling.model_copy(update={"num_frames": 4, "height": 32, "width": 32})
        model = build_model(config.model.without_weights(), ClipInput(sampling, KINETICS, None), 5)
        Freezing(model, config.train)  # raises where a stage with its own rate is not there
        losses[training.config] = config.model.losses
    assert losses == {
        "full": ("alignment", "selection", "classification", "ctc"),
        "no keyframe selection": ("alignment", "classification", "ctc"),
        "no alignment": ("selection", "classification", "ctc"),
        "random selection": ("alignment", "classification", "ctc"),
        "fixed weights": ("alignment", "selection", "classification", "ctc"),
        "CTC only": ("ctc",),
    }
