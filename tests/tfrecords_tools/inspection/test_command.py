import numpy as np
import pytest

from tfrecords_tools.inspect import main


@pytest.fixture
def records(make_clip, write_records):
    frames = np.random.default_rng(0).integers(0, 255, (3, 8, 32, 48, 3)).astype(np.uint8)
    return write_records({"train": [make_clip(str(number), frames=part) for number, part in enumerate(frames)]})


def spoil_counts(records) -> None:
    path = records / "dataset_info.json"
    text = path.read_text()
    assert '"frames":24' in text
    path.write_text(text.replace('"frames":24', '"frames":25', 1))


def test_command(records, run_main):
    status, stdout, stderr = run_main(main, records)
    assert (status, stderr) == (0, "")
    lines = stdout.splitlines()
    assert lines[0].split() == ["split", "clips", "glosses", "signers", "frames", "mean", "seconds"]
    assert lines[1].split() == ["train", "3", "1", "1", "24", "0.32"]
    assert lines[4:] == [f"{records}: every record is sound"]
    spoil_counts(records)
    status, stdout, _ = run_main(main, records)
    assert status == 1
    assert stdout.splitlines()[-2].startswith("split train: frames:")
    assert stdout.splitlines()[-1] == f"{records}: 1 problem found"


def test_audit_of_faulty_records_fails_for_the_faults(records, run_main):
    spoil_counts(records)
    status, stdout, _ = run_main(main, records, "--audit")
    assert status == 1
    assert f"{records}: audit: no leakage found" in stdout.splitlines()
    assert stdout.splitlines()[-1] == f"{records}: 1 problem found"


def test_mistakes_are_told_in_one_line(records, tmp_path, run_main):
    nowhere = tmp_path / "nowhere"
    assert run_main(main, nowhere) == (
        2,
        "",
        f"error: {nowhere}: no such folder; make records with: python -m tfrecords_tools.convert\n",
    )
    (records / "label_map.json").write_text("[]")
    status, _, stderr = run_main(main, records)
    assert status == 2
    assert stderr.startswith(f"error: {records / 'label_map.json'}: is no label map")
    assert run_main(main)[0] == 2
