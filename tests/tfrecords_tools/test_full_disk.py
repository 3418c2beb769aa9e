"""A disk that fills up while records are written: ``/dev/full`` stands in for it, which has no room for a byte."""

import errno
from pathlib import Path

import pytest

from tfrecords_tools.command_line import UserError, writing
from tfrecords_tools.convert import main
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.journal import Journal, write_atomically
from tfrecords_tools.shards import ShardWriter

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def fill_up(file: Path) -> None:
    """Leaves no room for ``file``, which is written under its temporary name first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_name(f".{file.name}.partial").symlink_to(FULL)


def partial_files(folder: Path) -> list[Path]:
    return list(folder.rglob(".*.partial"))


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room there, then try again"),
        (errno.EDQUOT, "make room there, then try again"),
        (errno.EACCES, "mend that, or choose another folder, then try again"),
        (errno.EROFS, "mend that, or choose another folder, then try again"),
    ],
)
def test_errors_name_the_file_and_the_remedy(number, remedy):
    reason = OSError(number, "the reason")
    with pytest.raises(UserError) as error, writing(Path("a/b")):
        raise reason
    assert str(error.value) == f"a/b: cannot be written (the reason); {remedy}"
    assert error.value.__cause__ is reason


def test_errors_of_libraries_without_a_number(tmp_path):
    with pytest.raises(UserError, match=r"a: cannot be written \(10 requested and 0 written\)"), writing(Path("a")):
        raise OSError("10 requested and 0 written")


@needs_full
@pytest.mark.parametrize("record", [b"fails when the context is left", b"fails at once" * 10_000])
def test_nothing_is_left_of_a_shard(tmp_path, record):
    shard = tmp_path / "shard"
    fill_up(shard)
    message = r"/shard: cannot be written \(No space left on device\); make room there"
    with pytest.raises(UserError, match=message), ShardWriter(shard) as writer:
        writer.write(record)
    assert list(tmp_path.iterdir()) == []


@needs_full
def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path):
    file = tmp_path / "a.json"
    write_atomically(file, "old")
    fill_up(file)
    with pytest.raises(UserError, match=r"/a\.json: cannot be written \(No space left on device\)"):
        write_atomically(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@needs_full
@pytest.mark.parametrize(
    ("name", "shards_before"),
    [
        (".conversion/settings.json", 0),
        ("records-train.tfrecord-00001-of-00003", 1),
        (".conversion/records-validation.tfrecord-00000-of-00001.json", 3),
        ("skipped.csv", 5),
        ("label_map.json", 5),
        ("dataset_info.json", 5),
    ],
)
def test_convert_says_so_in_one_line_and_loses_nothing(
    sign_folder, tmp_path, run_main, monkeypatch, name, shards_before
):
    output = tmp_path / "records"
    arguments = ["--source", "video_folders", "--input", sign_folder, "--output", output, "--workers", 1]
    arguments += ["--set", "keypoints=null", "--set", "clips_per_shard=4"]
    with monkeypatch.context() as patch:
        if name.endswith("settings.json"):
            fill_up(output / name)
        else:  # once what an earlier run left is cleared away
            patch.setattr(Journal, "remove_others", lambda *_: fill_up(output / name))
        status, _, stderr = run_main(main, *arguments)
    assert status == 2
    assert stderr == (
        f"error: {output / name}: cannot be written (No space left on device); make room there, then try again\n"
    )
    assert not (output / "dataset_info.json").exists()
    assert partial_files(output) == []
    entered = [output / entry.stem for entry in (output / ".conversion").glob("*.tfrecord-*.json")]
    times = [shard.stat().st_mtime_ns for shard in entered]
    assert len(entered) == shards_before
    assert run_main(main, *arguments)[::2] == (0, "")
    assert [shard.stat().st_mtime_ns for shard in entered] == times
    inspection = inspect_records(output)
    assert inspection.problems == []
    assert sum(split.clips for split in inspection.statistics.values()) == 12


def test_an_output_that_cannot_be_made_is_one_line(sign_folder, tmp_path, run_main):
    (tmp_path / "file").touch()
    output = tmp_path / "file" / "records"
    arguments = ["--source", "video_folders", "--input", sign_folder, "--output", output, "--workers", 1]
    status, _, stderr = run_main(main, *arguments, "--set", "keypoints=null")
    assert status == 2
    assert stderr == (
        f"error: {output / '.conversion'}: cannot be written (Not a directory); mend that, or choose another "
        "folder, then try again\n"
    )


def test_a_full_disk_without_a_name_is_one_line(run_main):
    """As from libraries that write files of their own."""

    def fail() -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert run_main(fail) == (2, "", "error: No space left on device: make room on the disk, then try again\n")
