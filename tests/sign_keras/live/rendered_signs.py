"""A model of two rendered signs that learnt from the true joints of a few signers; and rendered videos."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from sign_keras.config import Config
from sign_keras.models import build_model
from sign_keras.run import Run
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.synthetic import JOINT_NAMES, LEXICON, make_signer, render_clip
from tfrecords_tools.synthetic.anatomy import pose_skeleton
from tfrecords_tools.synthetic.performance import perform
from tfrecords_tools.synthetic.scene import draw_scene
from tfrecords_tools.video import write_video

GLOSSES = ("hello", "wash")  # one hand beside the head; both before the chest
NUM_FRAMES, RATE, SEED = 16, 15.0, 5


def joints(gloss: str, signer_index: int, take: int) -> np.ndarray:
    """``[NUM_FRAMES, 543, 3]``: a sign as MediaPipe would see it if it erred in nothing; evenly spread frames."""
    signer, rng = make_signer(SEED, signer_index), np.random.default_rng([signer_index, take, GLOSSES.index(gloss)])
    performance = perform([LEXICON[gloss]], signer, rng, RATE)
    camera = draw_scene(signer, rng, 64).camera
    found = np.stack([camera.normalised(pose_skeleton(p, signer.proportions).joints()) for p in performance.poses])
    points = np.full((len(found), len(MEDIAPIPE_HOLISTIC.names), 3), np.nan, np.float32)
    points[:, list(MEDIAPIPE_HOLISTIC.rows(JOINT_NAMES))] = np.pad(found, ((0, 0), (0, 0), (0, 1)))
    for rows in (MEDIAPIPE_HOLISTIC.group_slices[f"{side}_hand"] for side in ("left", "right")):
        outside = ((points[:, rows, :2] < 0) | (points[:, rows, :2] > 1)).any(axis=(1, 2))
        points[outside, rows] = np.nan
    return points[np.floor((np.arange(NUM_FRAMES) + 0.5) * len(points) / NUM_FRAMES).astype(int)]


def make_run(records: Path, directory: Path) -> Run:
    """A run that tells the two signs apart.

    Args:
        records: any of MediaPipe's keypoints, whose description the run takes.
        directory: to write.
    """
    config = Config.model_validate(
        {
            "name": "two_signs",
            "records": {"directory": records},
            "sampling": {"num_frames": NUM_FRAMES, "height": 32, "width": 32},
            "model": {"architecture": "keypoint_gru", "features": {"points": "hands_pose"}, "units": [24]},
            "train": {"epochs": 1, "batch_size": 8, "learning_rate": 0.01},
        }
    )
    run = Run.create(directory, config, LabelMap(GLOSSES), DatasetInfo.load(records))
    keras.utils.set_random_seed(0)
    model = build_model(config.model, run.clip_input, len(GLOSSES))
    takes = [(gloss, signer, take) for gloss in GLOSSES for signer in range(8) for take in range(2)]
    clips = np.stack([joints(*each) for each in takes])
    labels = np.array([GLOSSES.index(gloss) for gloss, *_ in takes])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit({"keypoints": clips}, labels, batch_size=8, epochs=12, verbose=0)
    run.best_weights.parent.mkdir(parents=True)
    model.save_weights(run.best_weights)
    return run


def render(path: Path, glosses: Sequence[str], signer_index: int, rate: float = RATE) -> int:
    """Renders somebody who signs; returns the number of frames."""
    clip = render_clip(make_signer(SEED, signer_index), glosses, np.random.default_rng(1), 192, rate, aspect=1.0)
    return write_video(path, clip.frames, rate)
