import json
import subprocess
import sys

# MediaPipe is to be loaded by a process without TensorFlow, so it gets one of its own.
SCRIPT = """
import json
import numpy as np
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import HolisticExtractor
from tfrecords_tools.synthetic import JOINT_NAMES, make_signer, render_clip, render_empty_scene

extractor = HolisticExtractor()
rows = list(MEDIAPIPE_HOLISTIC.rows(JOINT_NAMES))
found, errors = [], []
for index, gloss in enumerate(("same", "hello")):
    clip = render_clip(make_signer(0, index), [gloss], np.random.default_rng(index), 256, 12.0, 1.0)
    signing = np.flatnonzero(clip.phase == "sign")
    extractor.start_clip()
    for frame in clip.frames[signing]:
        extractor.add_frame(frame)
    keypoints = extractor.finish_clip()
    distance = np.linalg.norm(keypoints.points[:, rows, :2].astype(float) - clip.joints[signing], axis=-1)
    for side, group in enumerate(("left_hand", "right_hand")):
        in_view = clip.hand_in_view[signing, side]
        columns = [i for i, name in enumerate(JOINT_NAMES) if name.startswith(group)]
        error = distance[:, columns].mean(axis=1) / clip.hand_unit[signing, side]
        found += (~np.isnan(error[in_view])).tolist()
        errors += error[in_view & ~np.isnan(error)].tolist()
extractor.start_clip()
for frame in render_empty_scene(np.random.default_rng(0), 256, 3):
    extractor.add_frame(frame)
empty = extractor.finish_clip().presence
print(json.dumps([np.mean(found), np.median(errors), int(empty.sum())]))
"""


def test_mediapipe_finds_the_hands_where_they_are_and_none_in_an_empty_room():
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    detection_rate, median_error, found_in_empty_room = json.loads(result.stdout.splitlines()[-1])
    assert detection_rate >= 0.95
    assert median_error < 0.10, "hand units"
    assert found_in_empty_room == 0
