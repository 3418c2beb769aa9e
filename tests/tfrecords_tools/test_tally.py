import cv2
import numpy as np
import pytest

from tfrecords_tools.clips import Clip
from tfrecords_tools.extract import SkippedClip
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.tally import Tally, keypoint_statistics


def test_keypoint_statistics_over_shards_leave_out_what_was_not_found(make_extracted, tmp_path):
    """Two shards; the face is never found, the left hand not in each clip's first frame."""
    (tmp_path / "shard").touch()
    reports, points = [], []
    face = MEDIAPIPE_HOLISTIC.group_slices["face"]
    for num_frames in (3, 6):
        extracted = make_extracted(num_frames)
        extracted.keypoints.presence[:, 1] = False
        extracted.keypoints.points[:, face] = np.nan
        points.append(extracted.keypoints.points.astype(np.float64))
        tally = Tally(MEDIAPIPE_HOLISTIC)
        tally.add(extracted)
        tally.skip(SkippedClip(Clip("b.mp4", ("hello",), "b.mp4"), "is empty"))
        reports.append(tally.report("print", tmp_path / "shard"))
    statistics = keypoint_statistics(reports, MEDIAPIPE_HOLISTIC)
    assert {group: of.presence for group, of in statistics.items()} == {
        "pose": 1.0,
        "face": 0.0,
        "left_hand": pytest.approx(7 / 9),
        "right_hand": 1.0,
    }
    assert (statistics["face"].mean, statistics["face"].standard_deviation) == (None, None)
    for group in ("pose", "left_hand", "right_hand"):
        found = np.concatenate([clip[:, MEDIAPIPE_HOLISTIC.group_slices[group]].reshape(-1, 3) for clip in points])
        np.testing.assert_allclose(statistics[group].mean, np.nanmean(found, axis=0))
        np.testing.assert_allclose(statistics[group].standard_deviation, np.nanstd(found, axis=0))
    assert [report.skipped for report in reports] == [(("b.mp4", "is empty"),)] * 2
    assert [report.split.clips for report in reports] == [1, 1]


def test_dataset_info_holds_mean_and_deviation_of_the_training_frames(sign_folder, tmp_path):
    """Of the pixels as stored, JPEG included, against NumPy over every frame of the records."""
    from tfrecords_tools.convert import convert_source
    from tfrecords_tools.schema import decode_record
    from tfrecords_tools.shards import find_shards, read_shard

    info = convert_source("video_folders", sign_folder, tmp_path / "records", {"keypoints": None}, workers=1)
    pixels = [
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].reshape(-1, 3)
        for shard in find_shards(tmp_path / "records", info, "train")
        for record in read_shard(shard)
        for jpeg in decode_record(record, None)["jpegs"]
    ]
    # Counted before the JPEG encoding, whose loss is within a grey level here.
    np.testing.assert_allclose(info.mean, np.concatenate(pixels).mean(axis=0), atol=1)
    np.testing.assert_allclose(info.standard_deviation, np.concatenate(pixels).std(axis=0), atol=1)
    assert info.keypoint_statistics == {}
