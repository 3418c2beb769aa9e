import base64
import csv
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest

from sign_keras.config import Config
from sign_keras.data.dataset import Records
from sign_keras.metrics import Predictions, isolated_metrics
from sign_keras.reporting import write_evaluation
from sign_keras.reporting.charts import (
    confusion_cells,
    kept_epoch,
    learning_curves,
    read_history,
    reading_order,
    save_confusion_matrix,
)
from sign_keras.reporting.findings import interval_meaning, limits, people, percent, views_meaning
from sign_keras.reporting.frames import clip_strips
from sign_keras.run import HISTORY_NAME, Run
from tfrecords_tools.clips import ClipSpec, SamplingSpec, SplitSettings
from tfrecords_tools.dataset_info import (
    LABEL_MAP_NAME,
    SCHEMA_VERSION,
    DatasetInfo,
    LayoutInfo,
    SplitInfo,
    shard_name,
)
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.schema import encode_record
from tfrecords_tools.shards import ShardWriter

SAMPLING = SamplingSpec(num_frames=8, height=48, width=64)
# Glosses are other people's text: markup, quotes, mathematics, another script.
HOLISTIC = LayoutInfo(
    name=MEDIAPIPE_HOLISTIC.name, points=MEDIAPIPE_HOLISTIC.names, mirror_pairs=MEDIAPIPE_HOLISTIC.mirror_pairs
)
GLOSSES = LabelMap(['<b>&"', "cost $x$ $", "{{ 7 * 7 }}", "<script>alert(1)</script>", "手話", "never"])


def describe(
    source: str = "video_folders", frames: bool = True, signers: tuple[str, ...] = ("s0", "s1")
) -> DatasetInfo:
    keypoints = None if frames else "mediapipe_holistic"
    return DatasetInfo(
        schema_version=SCHEMA_VERSION,
        name="tiny",
        source=source,
        clip_spec=ClipSpec(frames=frames, short_side=48, keypoints=keypoints),
        splits={
            "train": SplitInfo(clips=4, signers={"s8": 2, "s9": 2}),
            "test": SplitInfo(clips=10, signers=dict.fromkeys(signers, 5)),
        },
        split_settings=SplitSettings(),
        shards={shard_name("tiny", "test", 0, 1): 10},
        num_skipped=0,
        crop_origins={},
        mean=None,
        standard_deviation=None,
        keypoint_layout=None if frames else HOLISTIC,
        tool_versions={},
    )


@pytest.fixture
def records(tmp_path: Path, make_extracted: Callable) -> Records:
    """Ten clips of five of the glosses by two signers."""
    return make_records(tmp_path / "records", make_extracted)


def make_records(directory: Path, make_extracted: Callable, frames: bool = True) -> Records:
    """The same, of frames or of keypoints alone."""
    info = describe(frames=frames)
    directory.mkdir()
    with ShardWriter(directory / shard_name("tiny", "test", 0, 1)) as writer:
        for number in range(10):
            clip = {
                "glosses": (GLOSSES.glosses[number % 5],),
                "media_id": f"<i>{number}",
                "signer": f"s{number // 5}",
            }
            extracted = make_extracted(3 + number, keypoints=not frames, frames=frames, **clip)
            writer.write(encode_record(extracted, [number % 5]))
    (directory / "dataset_info.json").write_text(info.model_dump_json())
    (directory / LABEL_MAP_NAME).write_text(GLOSSES.to_json())
    return Records.open(directory, SAMPLING, ("frames" if frames else "keypoints",))


@pytest.fixture
def run(tmp_path: Path, records: Records) -> Run:
    config = Config(
        name="tiny",
        records={"directory": records.directory},
        sampling=SAMPLING,
        model={"architecture": "cnn_lstm", "backbone_trainable": True, "lstm_units": 8},
        train={"epochs": 3, "batch_size": 4, "learning_rate": 1e-3},
    )
    run = Run.create(tmp_path / "run", config, GLOSSES, records.info)
    (run.directory / HISTORY_NAME).write_text(
        "epoch,loss,val_loss,top1,val_top1\n1,2.5,2.6,0.1,0.2\n2,1.5,1.9,0.5,\n3,1.0,2.0,0.8,0.4\n"
    )
    return run


def predict() -> tuple[Predictions, dict]:
    """The first gloss is taken for the second by both signers; all else is right."""
    labels = np.arange(10) % 5
    logits = np.zeros((10, len(GLOSSES)), np.float32)
    logits[np.arange(10), np.where(labels == 0, 1, labels)] = 4
    media_ids = [f"<i>{number}" for number in range(10)]
    signers = [f"s{number // 5}" for number in range(10)]
    metrics = isolated_metrics(logits, labels, signers, GLOSSES, split="test", bootstrap_samples=200)
    return Predictions(logits, labels, media_ids, ["a.mp4"] * 10, signers), metrics


@pytest.fixture
def written(tmp_path: Path, records: Records, run: Run) -> Path:
    predictions, metrics = predict()
    write_evaluation(tmp_path / "out", predictions, GLOSSES, metrics, name="tiny", records=records, run=run)
    return tmp_path / "out"


def test_report_escapes_what_others_wrote(written):
    page = (written / "report.html").read_text(encoding="utf-8")
    assert GLOSSES.glosses[0] not in page
    assert GLOSSES.glosses[3] not in page
    for gloss in GLOSSES:
        assert gloss in unescape(page)
    assert "<i>0" not in page
    assert page.count("<script>") == 1
    assert "手話" in page


def test_report_loads_nothing(written):
    page = (written / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|url\(|@import|<link", page)
    sources = re.findall(r'src="([^"]{0,30})', page)
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


def test_report_tells_the_story(written):
    page = unescape((written / "report.html").read_text(encoding="utf-8"))
    assert "<b>8 of 10</b> clips of 2 people it has never seen." in page
    assert 'taken for <span class="wrong">cost $x$ $</span> <span class="quiet">in 2 of 2 clips' in page
    assert "No clip of it was recognised." in page
    assert page.count("<polyline") == 4
    assert "The weights of epoch 2 were kept" in page
    assert "architecture: cnn_lstm" in page
    assert '<td>never</td><td data-value="0">0</td>' in page


def test_report_without_run_or_frames(tmp_path, make_extracted):
    """Clips of keypoints alone are shown as skeletons."""
    records = make_records(tmp_path / "records", make_extracted, frames=False)
    predictions, metrics = predict()
    write_evaluation(tmp_path / "out", predictions, GLOSSES, metrics, name="tiny", records=records, run=None)
    page = unescape((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.count("<img") == 2 + 2 + 1 + 4  # mistakes, both again, a recognised clip beside them, the surest
    strip = clip_strips(records, "test", {"<i>9"})["<i>9"]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(strip.source.partition(",")[2]), np.uint8), 1)
    assert picture.shape == (strip.height, strip.width, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50  # lines in the colours of both hands and the body
    assert "<polyline" not in page
    assert "clips of 2 people." in page
    assert "What the model learnt from is not known here" in page


def test_predictions_csv(written):
    with (written / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["media_id", "signer", "gloss", "predicted", "probability", "correct"]
    assert [row["correct"] for row in rows] == (["false"] + ["true"] * 4) * 2
    assert (rows[0]["gloss"], rows[0]["predicted"]) == ('<b>&"', "cost $x$ $")
    assert float(rows[0]["probability"]) == pytest.approx(np.exp(4) / (np.exp(4) + 5), abs=1e-4)


def test_strips_show_the_clips_asked_for(records):
    strips = clip_strips(records, "test", {"<i>2", "<i>9"})
    assert set(strips) == {"<i>2", "<i>9"}
    assert (strips["<i>9"].width, strips["<i>9"].height) == (6 * 128, 96)


def test_strips_leave_padding_out(records):
    padded = SAMPLING.model_copy(update={"frame_rate": 25.0})
    records = Records(records.directory, records.info, records.label_map, padded, ("frames", "frame_mask"))
    assert clip_strips(records, "test", {"<i>0"})["<i>0"].width == 3 * 128


@pytest.mark.parametrize("num_glosses", [1, 2, 16, 100])
def test_confusion_matrix_png(tmp_path, num_glosses):
    matrix = np.diag(np.full(num_glosses, 5))
    matrix[0, -1] += 2
    save_confusion_matrix(tmp_path / "m.png", matrix, LabelMap(f"gloss {i}" for i in range(num_glosses)))
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_reading_order_puts_mixed_up_glosses_together():
    matrix = np.diag([5] * 6)
    matrix[0, 4] = matrix[4, 0] = 3
    matrix[5] = matrix[:, 5] = 0
    order = reading_order(matrix).tolist()
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert abs(order.index(0) - order.index(4)) == 1
    assert reading_order(np.diag([1, 0, 1])).tolist() == [0, 2]
    assert sum(cell.count for cell in confusion_cells(matrix, reading_order(matrix))) == matrix.sum()


def test_history_tolerates_what_is_missing(tmp_path):
    assert read_history(tmp_path / "history.csv") == {}
    (tmp_path / "history.csv").write_text("epoch,loss,val_top1\n1,2.0,\n2,nan,0.5\n3,1.0,0.25\n")
    history = read_history(tmp_path / "history.csv")
    assert kept_epoch(history, "val_top1") == 1
    assert kept_epoch(history, "val_loss") is None
    loss, share = learning_curves(history, 1)
    assert loss.lines[0].points == "0.0,0.0 340.0,85.0"
    assert (share.marker, len(share.lines)) == (170.0, 1)
    of_training = {"gradient_norm": np.array([4.0, 2.0]), "input_wait": np.array([0.5, 0.25])}
    gradient, waiting = learning_curves(of_training, None)
    assert [line.points for line in gradient.lines] == ["0.0,0.0 340.0,85.0"]
    assert [line.points for line in waiting.lines] == ["0.0,85.0 340.0,127.5"]
    assert learning_curves({}, None) == []
    assert learning_curves({"loss": np.array([1.0])}, None) == []


def test_findings_say_whom_it_has_seen(run):
    _, metrics = predict()
    assert people(metrics, run) == "of 2 people it has never seen"
    seen = Run(run.directory, run.config, run.label_map, run.info.model_copy(deep=True))
    seen.info.splits["train"].signers["s1"] = 3
    assert people(metrics, seen) == "of 2 people, 1 of whom it has seen in training"
    assert any(text.startswith("Seen in training: s1.") for text in limits(metrics, seen.info, seen))
    assert "whom it has learnt from" in interval_meaning(metrics, seen)
    assert people(metrics | {"split": "train"}, run).startswith("of the training split")


def test_limits_fit_the_case(run):
    predictions, metrics = predict()
    text = " ".join(limits(metrics, describe("synthetic"), run))
    assert "nothing about real signing" in text
    assert "Only 2 signers were tested" in text
    assert "1 gloss of the model's 6 without a clip" in text
    assert "nothing about real signing" not in " ".join(limits(metrics, run.info, run))
    unknown = isolated_metrics(
        predictions.logits, predictions.labels, [""] * 10, GLOSSES, split="test", bootstrap_samples=200
    )
    assert people(unknown, run) == "of people whose names are not known"
    assert any(text.startswith("Who signs is not known") for text in limits(unknown, run.info, run))
    assert "clips resampled" in " ".join(interval_meaning(unknown, run).split())


def test_percent_never_rounds_to_certainty():
    shown = [
        percent(share).replace("\N{NO-BREAK SPACE}", " ") for share in (0, 1e-6, 0.004, 0.873, 0.996, 0.99999, 1)
    ]
    assert shown == ["0 %", "< 0.1 %", "0.4 %", "87 %", "99.6 %", "> 99.9 %", "100 %"]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({}, ""),
        ({"views": {"crops": 1, "offsets": 1, "mirror": False}}, ""),
        ({"views": {"crops": 3, "offsets": 2, "mirror": True}}, "mean over 12 views"),
    ],
)
def test_an_average_over_views_is_said(metrics, said):
    assert said in views_meaning(metrics)
    assert bool(said) == bool(views_meaning(metrics))
