"""Examples are scripts and not installed: tests find them from the repository's root, however pytest is called."""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tfrecords_tools.array_records import ArrayClip
from tfrecords_tools.clips import SkippedPath
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.schema import decode_record
from tfrecords_tools.shards import find_shards, read_shard

sys.path.append(str(REPOSITORY))
sys.path.append(str(REPOSITORY / "examples"))  # where a script finds the files beside it


LENGTHS = (4, 6, 3)  # of a word's clips that are made up


def write_table(file: Path, header: str, rows: Iterable[Iterable[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header.split(","))
        writer.writerows(rows)


def make_word(signer: str, gloss: str) -> np.ndarray:
    """``[3, 6, 258]`` float16; the right hand never found, the rest after a clip's end zeros."""
    rng = np.random.default_rng([*signer.encode(), *gloss.encode()])
    frames = rng.uniform(0.1, 1, (len(LENGTHS), 6, 258)).astype(np.float16)
    frames[:, :, 195:] = 0
    for index, length in enumerate(LENGTHS):
        frames[index, length:] = 0
    return frames


def write_mp_words(folder: Path, signers: dict[str, tuple[str, str]], tiers: dict[str, str]) -> None:
    """The input of ``mp_words.py``: each signer has three clips of each word.

    Args:
        folder: to make.
        signers: split and status by name.
        tiers: by word.
    """
    folder.mkdir()
    for signer in signers:
        arrays = {}
        for gloss in tiers:
            arrays[gloss] = make_word(signer, gloss)
            arrays[f"{gloss}__len"] = np.array(LENGTHS, np.int16)
            arrays[f"{gloss}__seq"] = np.array([f"{gloss}/{index}" for index in range(len(LENGTHS))])
        np.savez_compressed(folder / f"{signer}.npz", **arrays)
    write_table(
        folder / "splits.csv",
        "signer,split,licence,status",
        ((signer, split, "none stated", status) for signer, (split, status) in signers.items()),
    )
    write_table(
        folder / "manifest.csv",
        "signer,split,gloss,tier,sequence,index_pose_hands,frames",
        (
            (signer, signers[signer][0], gloss, tiers[gloss], index, index, length)
            for signer in signers
            for gloss in tiers
            for index, length in enumerate(LENGTHS)
        ),
    )


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def parted(found: Iterator[ArrayClip | SkippedPath]) -> tuple[list[ArrayClip], list[SkippedPath]]:
    """The clips, and what could not be read."""
    items = list(found)
    return (
        [item for item in items if isinstance(item, ArrayClip)],
        [item for item in items if isinstance(item, SkippedPath)],
    )


def read_records(output: Path) -> dict[str, dict]:
    """Every record by its media id, with its ``split``."""
    info = DatasetInfo.load(output)
    return {
        record["media_id"]: record | {"split": split}
        for split, part in info.splits.items()
        if part.clips
        for shard in find_shards(output, info, split)
        for record in (decode_record(serialized, info.layout) for serialized in read_shard(shard))
    }


@pytest.fixture
def assert_refuses(tmp_path: Path, run_main: Callable[..., tuple[int, str, str]]) -> Callable[..., None]:
    """``assert_refuses(main, folder, message, *arguments)``: status 2, one line, and nothing is written."""

    def check(main: Callable[[], int], folder: Path, message: str, *arguments: object) -> None:
        output = tmp_path / "records"
        status, _, err = run_main(main, "--input", folder, "--output", output, "--workers", 1, *arguments)
        assert status == 2
        assert message in err
        assert err.count("\n") == 1
        assert not output.exists()

    return check


# Two signers for each of five folds, and one who is kept back.
STUDY_SIGNERS = {f"s{number}": ("val" if number < 2 else "train", "ok") for number in range(9)} | {
    "s9 ě": ("train", "suspect"),
    "kept back": ("test", "ok"),
}
STUDY_TIERS = {"hello": "1", 'čaj/"káva", it\'s': "1", "rare": "2"}


@pytest.fixture(scope="session")
def study_input(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The input of ``mp_words.py`` with signers enough for folds."""
    folder = tmp_path_factory.mktemp("study") / "mp_words"
    write_mp_words(folder, STUDY_SIGNERS, STUDY_TIERS)
    return folder


@pytest.fixture(scope="session")
def study_output(study_input: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``mp_words_folds.py`` has made each signer's records, which are not to be changed."""
    import mp_words_folds

    output = tmp_path_factory.mktemp("study") / "records"
    arguments = mp_words_folds.build_parser().parse_args(
        [
            "--input",
            str(study_input),
            "--output",
            str(output),
            "--runs",
            "unused",
            "--fixed-split",
            "--workers",
            "1",
        ]
    )
    mp_words_folds.prepare(arguments, mp_words_folds.list_clips(arguments.input))
    return output
