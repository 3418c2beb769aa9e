"""``<word>/<sequence>/<frame>.npy``: MediaPipe Holistic keypoints, one small array a frame.

The layout of countless student projects. Each array is what the tutorial's ``extract_keypoints`` returns: pose
(33 times x, y, z, visibility), face (468 times x, y, z), left hand and right hand (21 times x, y, z each), flat:
1662 numbers; many projects leave out the face: 258. A part that was not found is all zeros.

Source: Nicholas Renotte, "Action Detection for Sign Language", ``Action Detection Refined.ipynb`` and its folder
``MP_Data`` (github.com/nicknochnack/ActionDetectionforSignLanguage).
"""

import functools
import io
import itertools
import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic
from natsort import natsorted

from tfrecords_tools.clips import Clip, ClipError, SkippedPath
from tfrecords_tools.command_line import UserError
from tfrecords_tools.extract import KeypointRecording
from tfrecords_tools.keypoint_layout import HAND_POINTS, MEDIAPIPE_HOLISTIC, NUM_FACE_POINTS, POSE_POINTS
from tfrecords_tools.sources.base import Listing
from tfrecords_tools.sources.folders import SignerInPath, gloss_folders
from tfrecords_tools.sources.holistic import holistic_keypoints

POSE_VALUES, FACE_VALUES, HAND_VALUES = len(POSE_POINTS) * 4, NUM_FACE_POINTS * 3, len(HAND_POINTS) * 3
WIDTH_WITHOUT_FACE = POSE_VALUES + 2 * HAND_VALUES
WIDTH_WITH_FACE = WIDTH_WITHOUT_FACE + FACE_VALUES
# The tutorial saves 30 frames a sequence and no times. Webcams film at 30 a second; MediaPipe in the recording
# loop makes that less by an amount that nobody noted.
DEFAULT_FRAME_RATE = 30.0
# Records hold float16; MediaPipe's values lie within a few frame widths.
LARGEST_VALUE = float(np.finfo(np.float16).max)

FRAME_NAME = re.compile(r"(?:.*\D)?(\d+)\.npy", re.DOTALL)
MAGIC, HEADER_START = b"\x93NUMPY\x01\x00", 10

Gaps = Literal["skip", "not_found"]


class MPData(SignerInPath):
    """``<word>/<sequence>/<frame>.npy`` of 1662 (pose, face, hands) or 258 (no face) MediaPipe values a frame.

    Attributes:
        signer_pattern: a regular expression on ``<word>/<sequence>`` whose group ``signer`` names the signer,
            e.g. ``/(?P<signer>[a-z]+)_[0-9]+`` for ``hello/anna_03``.
        frame_rate: frames per second, which the format does not say.
        aspect_ratio: width / height of the picture, likewise; 0 when not known.
        gaps: what to do where frame numbers are missing between others: ``skip`` the sequence, or take them for
            frames in which nothing was ``not_found``. They are never closed up: signing would speed up there.
    """

    frame_rate: float = pydantic.Field(default=DEFAULT_FRAME_RATE, gt=0)
    aspect_ratio: float = pydantic.Field(default=0.0, ge=0)
    gaps: Gaps = "skip"

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``. Looks at names of words and sequences only, never at frames, of which there are many."""
        if not path.is_dir():
            raise UserError(f"{path}: no such folder; expected <word>/<sequence>/<frame>.npy in it")
        listing = Listing(
            reader=functools.partial(
                read_sequence, frame_rate=self.frame_rate, aspect_ratio=self.aspect_ratio, gaps=self.gaps
            ),
            layout=MEDIAPIPE_HOLISTIC,
        )
        for split, word in gloss_folders(path):
            self._list_word(path, word, split, listing)
        if not any(_holds_arrays(clip.path) for clip in listing.clips):
            raise UserError(
                f"{path}: no <word>/<sequence>/<frame>.npy in it; is it the folder that holds the words' folders?"
            )
        return listing

    def _list_word(self, root: Path, word: Path, split: str | None, listing: Listing) -> None:
        with os.scandir(word) as entries:
            found = natsorted(
                ((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")),
                key=lambda item: item[0],
            )
        if not found:
            listing.skipped.append(SkippedPath(str(word), "holds no sequence"))
        # What frames become: a clip read otherwise is another clip, and a second conversion reads it again.
        reading = {"frame_rate": str(self.frame_rate), "aspect_ratio": str(self.aspect_ratio), "gaps": self.gaps}
        for name, is_folder in found:
            sequence = word / name
            if not is_folder:
                listing.skipped.append(SkippedPath(str(sequence), "is no folder of frames"))
                continue
            clip = self.clip_at(sequence, root, (word.name,), split)
            listing.clips.append(replace(clip, metadata=reading))


def _holds_arrays(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return any(FRAME_NAME.fullmatch(entry.name) for entry in entries)


def read_sequence(clip: Clip, *, frame_rate: float, aspect_ratio: float, gaps: Gaps) -> KeypointRecording:
    """Reads a folder of frames, in the order of their numbers.

    Args:
        clip: whose path is the folder.
        frame_rate: frames per second.
        aspect_ratio: of the picture; 0 when not known.
        gaps: see ``MPData``.

    Raises:
        ClipError: the folder holds no frame, two of the same number or a gap; or a file is no numeric ``.npy``,
            has another number of values than the format or than the frame before, or holds NaN or infinite values.
    """
    numbered = _numbered_frames(clip.path)
    frames = _read_frames(clip.path, list(numbered.values()))
    numbers = np.array(list(numbered)) - next(iter(numbered))
    num_frames = int(numbers[-1]) + 1
    if num_frames > len(frames):
        _check_gap(clip.path, numbered, gaps)
        # Zeros mean "not found", here as in every frame of the format.
        spread = np.zeros((num_frames, frames.shape[1]), np.float32)
        spread[numbers] = frames
        frames = spread
    return KeypointRecording(
        keypoints=holistic_keypoints(num_frames, split_frames(frames), _visibility(frames)),
        seconds=np.arange(num_frames) / frame_rate,
        frame_rate=frame_rate,
        aspect_ratio=aspect_ratio,
    )


def split_frames(frames: np.ndarray) -> dict[str, np.ndarray]:
    """Cuts frames ``[T, 1662]`` or ``[T, 258]`` into the groups of ``MEDIAPIPE_HOLISTIC``.

    Returns:
        ``[T, P, 3]`` of each group that is there, in the frames' type, which must be floating; NaN in frames in
        which the group was not found, which is where all its coordinates are 0.
    """
    face_values = FACE_VALUES if frames.shape[1] == WIDTH_WITH_FACE else 0
    pose, face, left, right = np.split(
        frames, np.cumsum([POSE_VALUES, face_values, HAND_VALUES], dtype=int).tolist(), axis=1
    )
    parts = {"pose": pose.reshape(len(frames), len(POSE_POINTS), 4)[..., :3]}
    if face_values:
        parts["face"] = face.reshape(len(frames), NUM_FACE_POINTS, 3)
    parts["left_hand"] = left.reshape(len(frames), len(HAND_POINTS), 3)
    parts["right_hand"] = right.reshape(len(frames), len(HAND_POINTS), 3)
    return {group: _zeros_to_nan(points) for group, points in parts.items()}


def _zeros_to_nan(points: np.ndarray) -> np.ndarray:
    found = points.any(axis=(1, 2))
    if found.all():
        return points
    points = points.copy()
    points[~found] = np.nan
    return points


def _visibility(frames: np.ndarray) -> np.ndarray:
    visibility: np.ndarray = frames[:, 3:POSE_VALUES:4]
    return visibility


def _numbered_frames(folder: str) -> dict[int, str]:
    """File names by frame number, in rising order."""
    names: dict[int, str] = {}
    try:
        with os.scandir(folder) as entries:
            files = [entry.name for entry in entries]
    except FileNotFoundError:
        raise ClipError(folder, "no such folder") from None
    for name in files:
        if not name.endswith(".npy") or name.startswith("."):
            continue
        match = FRAME_NAME.fullmatch(name)
        if match is None:
            raise ClipError(folder, f"{name}: has no frame number; expected 0.npy, 1.npy, ...")
        if (number := int(match[1])) in names:
            raise ClipError(
                folder, f"{min(name, names[number])} and {max(name, names[number])}: the same frame number"
            )
        names[number] = name
    if not names:
        raise ClipError(folder, "holds no frame; expected 0.npy, 1.npy, ...")
    return dict(sorted(names.items()))


def _check_gap(folder: str, numbered: dict[int, str], gaps: Gaps) -> None:
    """Raises ``ClipError`` where the gaps in the frame numbers are not to be filled, or are most of the clip."""
    numbers = list(numbered)
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    before, after = next((a, b) for a, b in itertools.pairwise(numbers) if b > a + 1)
    where = f"{missing} missing between its frames, the first after {numbered[before]}"
    if gaps == "skip":
        raise ClipError(
            folder,
            f"{where} (the next is {numbered[after]}); source.gaps=not_found takes them for frames with nothing",
        )
    if missing > len(numbers):
        raise ClipError(folder, f"{where}: more than there are")


def _read_frames(folder: str, names: list[str]) -> np.ndarray:
    """Frames ``[T, 1662]`` or ``[T, 258]`` float32, all finite."""
    frames: list[np.ndarray] = []
    for name in names:
        try:
            values = _read_array(os.path.join(folder, name))
        except ValueError as error:
            raise ClipError(folder, f"{name}: {error}") from None
        if values.shape not in ((WIDTH_WITH_FACE,), (WIDTH_WITHOUT_FACE,)):
            shape = "x".join(map(str, values.shape)) or "1"
            raise ClipError(
                folder,
                f"{name}: holds {shape} values; expected {WIDTH_WITH_FACE} (pose, face, left hand, right hand) or "
                f"{WIDTH_WITHOUT_FACE} (no face)",
            )
        if frames and values.shape != frames[0].shape:
            raise ClipError(folder, f"{name}: holds {values.size} values, {names[0]} {frames[0].size}")
        frames.append(values)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is found below
        stacked = np.stack(frames, dtype=np.float32, casting="same_kind")
    sound = (np.abs(stacked) <= LARGEST_VALUE).all(axis=1)  # False for NaN, too
    if not sound.all():
        raise ClipError(folder, f"{names[sound.argmin()]}: holds NaN, infinite or huge values")
    return stacked


def _read_array(path: str) -> np.ndarray:
    """Reads a numeric ``.npy`` file.

    Six times as fast as ``np.load``, which parses the header of each of a sequence's frames anew although all are
    the same. Nothing is ever unpickled.

    Raises:
        ValueError: saying what is wrong with the file.
    """
    with open(path, "rb", buffering=0) as file:
        content = file.read()
    if not content.startswith(MAGIC):
        raise ValueError("is no .npy file of format version 1")
    start = HEADER_START + int.from_bytes(content[len(MAGIC) : HEADER_START], "little")
    shape, dtype = _parse_header(content[:start])
    size = math.prod(shape)
    if len(content) - start < size * dtype.itemsize:
        raise ValueError("breaks off")
    return np.frombuffer(content, dtype, count=size, offset=start).reshape(shape)


@functools.lru_cache(maxsize=64)
def _parse_header(header: bytes) -> tuple[tuple[int, ...], np.dtype]:
    stream = io.BytesIO(header)
    np.lib.format.read_magic(stream)
    try:
        # Fortran order, which it tells too, makes no difference to arrays of one axis.
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except ValueError:
        raise ValueError("has a damaged header") from None
    if dtype.kind not in "fiu":
        raise ValueError(f"holds no numbers but {'pickled objects' if dtype.hasobject else dtype}")
    return shape, dtype
