import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from tfrecords_tools.command_line import UserError
from tfrecords_tools.synthesize import main, synthesize
from tfrecords_tools.synthetic import JOINT_NAMES, make_signer
from tfrecords_tools.synthetic.dataset import split_signers
from tfrecords_tools.video import open_video

ARGUMENTS = {"signers": 3, "clips_per_gloss": 1, "glosses": ("yes", "no"), "size": 64, "progress": False}


def read_rows(manifest):
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    directory = tmp_path_factory.mktemp("synthetic") / "set"
    synthesize(directory, **ARGUMENTS, sentences=1, letters=1, workers=1)
    return directory


def test_split_signers_gives_the_promised_sizes():
    def sizes(count):
        splits = list(split_signers([make_signer(0, index) for index in range(count)]).values())
        return tuple(splits.count(split) for split in ("train", "validation", "test"))

    assert sizes(24) == (15, 3, 6)
    assert sizes(3) == (1, 1, 1)
    assert sizes(1) == (1, 0, 0)
    assert all(min(sizes(count)) >= 1 and sum(sizes(count)) == count for count in range(3, 40))


def test_split_signers_spreads_left_handed_signers():
    signers = [make_signer(0, index) for index in range(24)]
    splits = split_signers(signers)
    assert "train" in {splits[signer.name] for signer in signers if signer.left_handed}


def test_manifest_and_truth_keep_their_contract(dataset):
    rows = read_rows(dataset / "manifest.csv")
    assert len(rows) == 3 * 2 + 3
    by_signer = {}
    for row in rows:
        assert by_signer.setdefault(row["signer"], row["split"]) == row["split"]
        assert bool(row["gloss"]) != bool(row["glosses"])
        with open_video(dataset / row["path"]) as video:
            num_frames = len(list(video.frames))
            assert video.frame_rate == pytest.approx(float(row["frame_rate"]), abs=0.1)
        truth = np.load(dataset / "joints" / row["path"].replace(".mp4", ".npz"))
        assert tuple(truth["names"]) == JOINT_NAMES
        assert truth["joints"].shape == (num_frames, len(JOINT_NAMES), 2)
        assert truth["joints"].dtype == np.float32
        assert truth["hand_in_view"].shape == truth["hand_unit"].shape == (num_frames, 2)
        glosses = (row["gloss"] or row["glosses"]).split()
        indices = truth["gloss_index"]
        assert sorted({i for i in indices if i >= 0}) == list(range(len(glosses)))
        assert (np.diff(indices[indices >= 0]) >= 0).all()
        if row["glosses"]:  # times say of each frame what the truth says
            starts, ends = np.array([part.split("-") for part in row["gloss_seconds"].split()], float).T
            seconds = np.arange(num_frames)[:, None] / float(row["frame_rate"])
            said = (starts <= seconds) & (seconds < ends)
            np.testing.assert_array_equal(np.where(said.any(axis=1), said.argmax(axis=1), -1), indices)
        assert set(truth["phase"]) <= {"rest", "transition", "sign"}
    assert set(by_signer.values()) == {"train", "validation", "test"}


def test_letters_have_their_own_manifest(dataset):
    rows = read_rows(dataset / "letters.csv")
    assert len(rows) == 3 * 16
    truth = np.load(dataset / "joints" / rows[0]["path"].replace(".png", ".npz"))
    assert truth["joints"].shape == (1, 21, 2)


def test_workers_do_not_change_the_result(dataset, tmp_path):
    synthesize(tmp_path / "set", **ARGUMENTS, sentences=1, letters=1, workers=2)
    assert contents(tmp_path / "set") == contents(dataset)


def test_interrupted_data_set_is_completed(tmp_path):
    manifest = synthesize(tmp_path, **ARGUMENTS, workers=1)
    before = contents(tmp_path)
    kept = tmp_path / "clips/no/s0_000_00.mp4"
    modified = kept.stat().st_mtime_ns
    (tmp_path / "clips/yes/s0_001_00.mp4").unlink()
    manifest.unlink()
    synthesize(tmp_path, **ARGUMENTS, workers=1)
    assert contents(tmp_path) == before
    assert kept.stat().st_mtime_ns == modified


def test_other_arguments_are_refused_in_the_same_place(dataset, tmp_path):
    with pytest.raises(UserError, match="seed"):
        synthesize(dataset, **ARGUMENTS, sentences=1, letters=1, seed=1)
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not empty"):
        synthesize(tmp_path, **ARGUMENTS)


def test_signers_are_the_same_people_whatever_else_is_rendered(dataset, tmp_path):
    synthesize(
        tmp_path,
        signers=1,
        first_signer=2,
        clips_per_gloss=1,
        glosses=["no"],
        size=64,
        progress=False,
        workers=1,
    )
    name = "clips/no/s0_002_00.mp4"
    assert (tmp_path / name).read_bytes() == (dataset / name).read_bytes()
    assert json.loads((tmp_path / "synthesis.json").read_text())["first_signer"] == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--glosses", "unicorn"], "unicorn"),
        (["--glosses", "yes", "yes"], "twice"),
        (["--num-glosses", "0"], "--num-glosses"),
        (["--signers", "0"], "--signers"),
        (["--seed", "-1"], "--seed"),
        (["--size", "4"], "--size"),
        (["--workers", "0"], "--workers"),
        (["--clips-per-gloss", "0"], "nothing to render"),
    ],
)
def test_command_refuses_wrong_arguments(options, complaint, tmp_path):
    with pytest.raises(UserError, match=complaint):
        main(["--output", str(tmp_path / "set"), *options])
    assert not (tmp_path / "set").exists()


def test_command_error_is_one_line_and_status_2(tmp_path):
    command = [
        sys.executable,
        "-m",
        "tfrecords_tools.synthesize",
        "--output",
        str(tmp_path / "x"),
        "--signers",
        "0",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: --signers")
    assert result.stderr.count("\n") == 1
