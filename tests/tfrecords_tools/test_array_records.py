from pathlib import Path

import numpy as np
import pytest

from tfrecords_tools.array_records import (
    ArrayClip,
    build_parser,
    convert_arrays,
    remove_arrays,
    run_conversion,
    write_arrays,
)
from tfrecords_tools.clips import SkippedPath
from tfrecords_tools.command_line import UserError
from tfrecords_tools.inspection.verify import inspect_records
from tfrecords_tools.sources.keypoint_arrays import ArrayLayout, KeypointArrays

LAYOUT = ArrayLayout(name="two_points", points=("left_hand/wrist", "right_hand/wrist"), frame_rate=20)


def make_array(num_frames: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(num_frames).uniform(0, 1, (num_frames, 2, channels)).astype(np.float32)


CLIPS = [
    ArrayClip("a/1.npy", make_array(3), {"gloss": 'a/b "c", č'}, modified_ns=1_600_000_000_123_456_789),
    SkippedPath("elsewhere", "was bad"),
    ArrayClip("2.npy", make_array(4, channels=2), {"glosses": "IX SEE", "signer": "anna"}),
]
TABLES = ["layout.json", "manifest.csv"]


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_written_arrays_are_read_again(tmp_path):
    folder = tmp_path / "new" / "folder"
    files, skipped = write_arrays(folder, LAYOUT, CLIPS)
    assert skipped == [CLIPS[1]]
    listing = KeypointArrays().list_clips(folder)
    assert [clip.glosses for clip in listing.clips] == [('a/b "c", č',), ("IX", "SEE")]
    assert [Path(clip.path) for clip in listing.clips] == files
    assert files[0].stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert listing.reader is not None
    for clip, written in zip(listing.clips, (CLIPS[0], CLIPS[2]), strict=True):
        assert isinstance(written, ArrayClip)
        points = listing.reader(clip).keypoints.points
        np.testing.assert_array_equal(points[..., : written.array.shape[2]], written.array.astype(np.float16))
    assert ArrayLayout.load(folder / "layout.json") == LAYOUT
    remove_arrays(files)
    assert files_in(folder) == TABLES
    assert not (folder / "a").exists()


@pytest.mark.parametrize("keep_arrays", [False, True])
def test_arrays_become_records(tmp_path, keep_arrays):
    info = convert_arrays(CLIPS, LAYOUT, tmp_path, workers=1, keep_arrays=keep_arrays)
    assert inspect_records(tmp_path).problems == []
    assert sum(part.frames for part in info.splits.values()) == 3 + 4
    assert (info.source, info.num_skipped) == ("keypoint_arrays", 1)
    assert "elsewhere,was bad" in (tmp_path / "skipped.csv").read_text(encoding="utf-8")
    assert files_in(tmp_path / "arrays") == (["2.npy", "a/1.npy", *TABLES] if keep_arrays else TABLES)


def test_arrays_are_deleted_when_the_conversion_fails(tmp_path):
    (tmp_path / "ours-train.tfrecord-00000-of-00001").touch()
    with pytest.raises(UserError, match="holds records that convert did not write"):
        convert_arrays(CLIPS, LAYOUT, tmp_path, workers=1)
    assert files_in(tmp_path / "arrays") == TABLES


def test_a_label_map_that_is_not_there_is_noticed_before_anything_is_read(tmp_path):
    def read():
        pytest.fail("was read")
        yield

    with pytest.raises(UserError, match="no such label map"):
        convert_arrays(read(), LAYOUT, tmp_path / "records", label_map=tmp_path / "map.json")
    assert not (tmp_path / "records").exists()


def test_an_array_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(UserError, match=r"a/1\.npy: cannot be written \(File exists\)"):
        write_arrays(tmp_path, LAYOUT, CLIPS)


def test_the_summary_counts_glosses_and_names_skipped_inputs(tmp_path, run_main):
    def main() -> int:
        arguments = build_parser("python example.py", "Does it.", "example: none").parse_args()
        assert arguments.input == Path("in")
        return run_conversion(arguments, CLIPS, LAYOUT, noun="sentences")

    output = tmp_path / "records"
    status, out, err = run_main(main, "--input", "in", "--output", output, "--workers", 1)
    assert (status, err) == (1, "")
    assert out.endswith(
        f"{output}: 2 sentences of 3 glosses\n1 inputs were skipped: see {output / 'skipped.csv'}\n"
    )
    assert "train: 2 sentences of 3 glosses by 1 signers" in out
