import csv
import json

import pytest

import ablation
from sign_keras.config import load_config
from tests.conftest import REPOSITORY

STUDY = """
config: configs/keypoint_gru.yaml
seeds: [1, 2]
settings: {train.epochs: 3}
variants:
  as configured: {}
  no mirroring: {data.augment.mirror: 0}
  "other records": {records.prepare.settings: {crop: {mode: full}}}
"""
GLOSSES = ("hello", "thanks")


def write_run(run, wrong):
    """A run that has been evaluated: 4 signers, 2 clips each, of which the first ``wrong`` are mistaken."""
    run.mkdir(parents=True)
    rows = [
        {"media_id": f"{signer}{gloss}", "signer": f"s{signer}", "gloss": gloss, "predicted": gloss}
        for signer in range(4)
        for gloss in GLOSSES
    ]
    for row in rows[:wrong]:
        row["predicted"] = "yes"
    with (run / "predictions.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    return ablation.load_study(tmp_path / "study.yaml")


def test_every_variant_is_trained_with_every_seed_as_the_study_says(study, tmp_path):
    trainings = ablation.plan_trainings(study, tmp_path, list(study.variants))
    assert [(training.config, training.label) for training in trainings[:4]] == [
        ("as configured", "seed 1"),
        ("no mirroring", "seed 1"),
        ("other records", "seed 1"),
        ("as configured", "seed 2"),
    ]
    assert trainings[1].run == tmp_path / "no_mirroring_seed_1"
    assert trainings[1].overrides == ("train.epochs=3", "data.augment.mirror=0", "seed=1")
    assert 'records.prepare.settings={"crop": {"mode": "full"}}' in trainings[2].overrides


def test_each_variant_is_compared_with_the_first(study, tmp_path, monkeypatch, run_main):
    wrong = {"as_configured": 0, "no_mirroring": 4, "other_records": 2}
    trained = []
    monkeypatch.setattr(ablation, "train_all", trained.extend)
    for folder, number in wrong.items():
        for seed in (1, 2):
            write_run(tmp_path / "runs" / f"{folder}_seed_{seed}", number)
    arguments = ("--study", tmp_path / "study.yaml", "--runs", tmp_path / "runs")
    status, output, _ = run_main(ablation.main, *arguments)
    assert status == 0
    assert len(trained) == 6
    summary = json.loads((tmp_path / "runs" / "ablation.json").read_text())
    assert {name: scores["top1"] for name, scores in summary.items()} == {
        "as configured": 1.0,
        "no mirroring": 0.5,
        "other records": 0.75,
    }
    assert "difference" not in summary["as configured"]
    assert summary["no mirroring"]["difference"]["top1"]["difference"] == -0.5
    assert "| no mirroring | 0.500, 0.000 to 1.000 | 0.500 | 0.500 | -0.500, -1.000 to +0.000 |" in output
    assert (tmp_path / "runs" / "ablation.md").read_text() in output


def test_some_variants_alone_make_no_table(study, tmp_path, monkeypatch, run_main):
    trained = []
    monkeypatch.setattr(ablation, "train_all", trained.extend)
    arguments = ("--study", tmp_path / "study.yaml", "--runs", tmp_path / "runs", "--only")
    status, _, _ = run_main(ablation.main, *arguments, "no mirroring")
    assert status == 0
    assert {training.config for training in trained} == {"no mirroring"}
    assert not (tmp_path / "runs").exists()
    status, _, error = run_main(ablation.main, *arguments, "no mirror")
    assert status == 2
    assert "--only no mirror: no variant; there are as configured, no mirroring, other records" in error


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("config: a.yaml\nseeds: [1]\nvariants: {one: {}}", "variants"),
        ("config: a.yaml\nseeds: []\nvariants: {one: {}, two: {}}", "seeds"),
        ("config: a.yaml\nseeds: [1]\nvariants: {a b: {}, a-b: {}}", "punctuation"),
        ("config: [", "study"),
    ],
)
def test_faults_of_a_study_are_named(content, fault, tmp_path, run_main):
    (tmp_path / "study.yaml").write_text(content)
    status, _, error = run_main(ablation.main, "--study", tmp_path / "study.yaml", "--runs", tmp_path)
    assert status == 2
    assert fault in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "file", sorted((REPOSITORY / "examples/ablations").glob("*.yaml")), ids=lambda file: file.stem
)
def test_studies_change_settings_that_there_are(file, tmp_path):
    study = ablation.load_study(file)
    configs = {
        load_config(REPOSITORY / training.file, training.overrides).model_dump_json()
        for training in ablation.plan_trainings(study, tmp_path, list(study.variants))
    }
    assert len(configs) == len(study.variants) * len(study.seeds)
