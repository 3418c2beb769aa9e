"""Records of rendered training clips, for pre-training: random signs by people whom no data set has.

What ``convert`` would make of such videos, without the videos: the hands' crop comes from the true joints, so
neither H.264 nor MediaPipe is needed, and a clip takes a sixth of a second instead of most of one. A record's
glosses are the sign's parameters, such as ``movement/circle``, and its labels their indices, in the order of
``synthetic.SIGN_PARAMETERS``. Its keypoints are the hands' true joints, in widths and heights of the stored frames,
those beyond their edges included.
"""

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from tfrecords_tools.clips import Clip, ClipSpec
from tfrecords_tools.crop import CropBox, cut, hand_crop
from tfrecords_tools.extract import ExtractedClip, FrameEncoder
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout
from tfrecords_tools.keypoints import HAND_GROUPS, ClipKeypoints
from tfrecords_tools.processes import start_pool
from tfrecords_tools.schema import encode_record
from tfrecords_tools.shards import ShardWriter, count_records
from tfrecords_tools.synthetic import JOINT_NAMES, SIGN_PARAMETERS, Film, training_clip
from tfrecords_tools.synthetic.scene import hands_in_view

CLIPS_PER_SHARD = 64
FILM_SIZE = 224  # of the whole picture, pixels; hands cut out of it are about as sharp as in the rendered videos
TRUE_HANDS = KeypointLayout.from_names(
    "true_hands",
    [name for name in JOINT_NAMES if name.startswith(HAND_GROUPS)],
    [pair for pair in MEDIAPIPE_HOLISTIC.mirror_pairs if pair[0].startswith(HAND_GROUPS)],
)
"""What a record's keypoints are: 42 joints, the left hand's first; z is 0."""
MARGINS = (0.15, 0.35)  # lowest and highest drawn around the hands: convert's is fixed, MediaPipe's error is not


def render_training_records(
    directory: Path, num_clips: int, num_frames: int, short_side: int, seed: int
) -> list[Path]:
    """Renders clips on all cores; shards that are there already, from the same arguments, are kept.

    Args:
        directory: of the shards; its name may stand for one set of arguments only.
        num_clips: at least this many, in whole shards.
        num_frames: ``T`` of each clip.
        short_side: height and width of the stored frames, pixels.
        seed: of everything.

    Returns:
        The shards.
    """
    directory.mkdir(parents=True, exist_ok=True)
    name = f"signs-{num_frames}x{short_side}-seed{seed}"
    paths = [directory / f"{name}-{shard:05d}.tfrecord" for shard in range(-(-num_clips // CLIPS_PER_SHARD))]
    missing = [(shard, path) for shard, path in enumerate(paths) if not path.exists()]
    if missing:
        with start_pool() as pool:
            futures = [
                pool.submit(_render_shard, path, [seed, shard], num_frames, short_side) for shard, path in missing
            ]
            for future in tqdm(futures, desc="rendering", unit="shard", disable=None):
                future.result()
    for path in paths:
        count_records(path)
    return paths


def _render_shard(path: Path, seed: list[int], num_frames: int, short_side: int) -> None:
    cv2.setNumThreads(1)  # the processes fill the cores already
    rng = np.random.default_rng(seed)
    with ShardWriter(path) as shard:
        for index in range(CLIPS_PER_SHARD):
            rendered = training_clip(rng, num_frames, FILM_SIZE)
            glosses = tuple(f"{name}/{SIGN_PARAMETERS[name][label]}" for name, label in rendered.labels.items())
            clip = Clip(media_id=f"{path.stem}-{index}", path="", glosses=glosses)
            extracted = _extract(clip, rendered.film, short_side, rng.uniform(*MARGINS))
            shard.write(encode_record(extracted, list(rendered.labels.values())))


def _extract(clip: Clip, film: Film, short_side: int, margin: float) -> ExtractedClip:
    """What ``extract.extract_clip`` makes of a video, from the truth."""
    num_frames, height, width = film.frames.shape[:3]
    box = hand_crop(_true_keypoints(film), width, height, margin)
    encoder = FrameEncoder(ClipSpec(short_side=short_side))
    for frame in film.frames:
        encoder.add(cut(frame, box))
    return ExtractedClip(
        clip=clip,
        jpegs=encoder.jpegs,
        seconds=np.arange(num_frames) / 10.0,  # not known, and not used: all frames are taken
        frame_rate=0.0,
        width=encoder.width,
        height=encoder.height,
        keypoints=_hands_in(film, box),
        crop_box=box,
        pixels=encoder.moments(),
        aspect_ratio=1.0,
    )


def _hands_in(film: Film, box: CropBox) -> ClipKeypoints:
    """The hands' joints, in widths and heights of what the box cuts out."""
    num_frames = len(film.frames)
    points = np.zeros((num_frames, len(TRUE_HANDS.names), 3), np.float16)
    corner, size = np.array([box.x0, box.y0]), np.array([box.x1 - box.x0, box.y1 - box.y0])
    joints = film.joints[:, [JOINT_NAMES.index(name) for name in TRUE_HANDS.names]]
    points[:, :, :2] = (joints - corner) / size
    return ClipKeypoints(points, np.zeros((num_frames, 0), np.float16), np.ones((num_frames, 2), bool))


def _true_keypoints(film: Film) -> ClipKeypoints:
    """The joints as MediaPipe would give them; a hand that is not wholly in view counts as not found."""
    num_frames = len(film.frames)
    points = np.full((num_frames, len(MEDIAPIPE_HOLISTIC.names), 3), np.nan, np.float16)
    points[:, list(MEDIAPIPE_HOLISTIC.rows(JOINT_NAMES)), :2] = film.joints
    seen = hands_in_view(film.joints)
    for side, group in enumerate(HAND_GROUPS):
        points[~seen[:, side], MEDIAPIPE_HOLISTIC.group_slices[group]] = np.nan
    pose, face = np.ones((num_frames, 1), bool), np.zeros((num_frames, 1), bool)
    visibility = np.ones((num_frames, len(dict(MEDIAPIPE_HOLISTIC.groups)["pose"])), np.float16)
    return ClipKeypoints(points, visibility, np.concatenate([pose, face, seen], axis=1))
