"""``.pose`` files with MediaPipe Holistic's points, listed in a CSV.

A ``.pose`` file (https://github.com/sign-language-processing/pose, MIT; specification in its ``docs/specs``) has a
header that names components and their points, and the picture's width and height, and a body of
``[T, people, points, dimensions]`` numbers with a confidence for each point, 0 where it is missing. All versions
(0.0, 0.1, 0.2) are read with the library, ``pose-format``.

What its ``utils/holistic.py`` writes is understood: the components ``POSE_LANDMARKS``, ``FACE_LANDMARKS`` (points
from 468 on, the irises, are left out), ``LEFT_HAND_LANDMARKS`` and ``RIGHT_HAND_LANDMARKS``, with x and y in pixels
and z as MediaPipe gives it. ``POSE_WORLD_LANDMARKS``, in metres, is not read.
"""

import functools
import importlib.util
import struct
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords_tools.clips import Clip, ClipError
from tfrecords_tools.command_line import UserError
from tfrecords_tools.extract import KeypointRecording
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout
from tfrecords_tools.keypoints import ClipKeypoints
from tfrecords_tools.sources.base import Listing
from tfrecords_tools.sources.keypoint_table import span_frames, without_boxes
from tfrecords_tools.sources.manifest import Manifest

COMPONENTS = {
    "POSE_LANDMARKS": "pose",
    "FACE_LANDMARKS": "face",
    "LEFT_HAND_LANDMARKS": "left_hand",
    "RIGHT_HAND_LANDMARKS": "right_hand",
}
# How many files to open until one tells which points they have.
FILES_TO_TRY = 20
SHORT_FRAMES = 1 << 16  # version 0.1 counts frames modulo this
# A person within this many pixels who is also that small a part of the picture was not measured in pixels.
SMALLEST_PIXELS, SMALLEST_SHARE = 8, 0.05
# In frame widths and heights a person is rarely outside of -1 to 2: most points must be nearer than FARTHEST, and
# all than LARGEST_COORDINATE.
FARTHEST, LARGEST_COORDINATE = 10.0, 1000.0
# Where MediaPipe measures a group's depth from; of a face only that it goes with the pose.
DEPTH_ORIGINS = {
    "pose": ("pose/left_hip", "pose/right_hip"),
    "face": ("pose/left_hip", "pose/right_hip"),
    "left_hand": ("left_hand/wrist",),
    "right_hand": ("right_hand/wrist",),
}
FARTHEST_DEPTH_ORIGIN = 0.1


class PoseFiles(Manifest):
    """``.pose`` files (pose-format, MediaPipe Holistic) with a CSV like that of ``manifest``.

    The columns are those of ``manifest``, without ``bbox``. Records get the layout ``mediapipe_holistic``, or,
    where the files have some of a group's points only (a face of 128, a body without legs), a layout of
    the first file's points. Of several people the first is taken. Needs pose-format
    (``pip install 'sign_keras[pose]'``).
    """

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        if importlib.util.find_spec("pose_format") is None:
            raise UserError("pose_files reads its files with pose-format: pip install 'sign_keras[pose]'")
        listing = super().list_clips(path)
        clips, boxed = without_boxes(listing.clips, "keypoints are")
        layout, notes = _first_layout(clips)
        return Listing(
            clips=clips,
            skipped=[*listing.skipped, *boxed],
            notes=[*listing.notes, *notes],
            reader=functools.partial(read_pose, points=None if layout is MEDIAPIPE_HOLISTIC else layout.names),
            layout=layout,
        )


def _first_layout(clips: Sequence[Clip]) -> tuple[KeypointLayout, list[str]]:
    """Layout of the first file that can be read, and what to tell about it."""
    for clip in clips[:FILES_TO_TRY]:
        try:
            header, body = _load(clip.path)
        except ClipError:
            continue  # it will be skipped when its turn comes
        found = _columns(header.components)
        if not found:
            names = ", ".join(component.name for component in header.components) or "none"
            raise UserError(
                f"{clip.path}: has the components {names}; pose_files reads {', '.join(COMPONENTS)}: for others "
                "write arrays and use the source keypoint_arrays"
            )
        layout, notes = layout_of(found), []
        if absent := [group for group in COMPONENTS.values() if not _num_points(found, group)]:
            notes.append(f"{clip.path}: has no {', '.join(absent)}: taken as not found")
        if layout is not MEDIAPIPE_HOLISTIC:
            notes.append(f"{clip.path}: has some points of a group only: records get the layout {layout.name}")
        if body.data.shape[1] > 1:
            notes.append(f"{clip.path}: holds {body.data.shape[1]} people: of each file the first is taken")
        return layout, notes
    return MEDIAPIPE_HOLISTIC, []


def layout_of(names: Collection[str]) -> KeypointLayout:
    """Layout for files with these points of ``MEDIAPIPE_HOLISTIC``.

    Returns:
        ``MEDIAPIPE_HOLISTIC`` where each group that is there has all its points; else one of these points, called
        ``mediapipe_holistic_<number of points>``.
    """
    found = set(names)
    if all(_num_points(found, group) in (0, len(points)) for group, points in MEDIAPIPE_HOLISTIC.groups):
        return MEDIAPIPE_HOLISTIC
    points = [name for name in MEDIAPIPE_HOLISTIC.names if name in found]
    pairs = [pair for pair in MEDIAPIPE_HOLISTIC.mirror_pairs if found.issuperset(pair)]
    return KeypointLayout.from_names(f"{MEDIAPIPE_HOLISTIC.name}_{len(points)}", points, pairs)


def _num_points(names: Collection[str], group: str) -> int:
    """How many of these full names are points of a group."""
    return sum(name.startswith(f"{group}/") for name in names)


def _columns(components: Sequence[Any]) -> dict[str, int]:
    """Where in a body each of the points of ``MEDIAPIPE_HOLISTIC`` is that a header has, by full name."""
    names = [_full_name(component.name, point) for component in components for point in component.points]
    known = set(MEDIAPIPE_HOLISTIC.names)
    return {name: column for column, name in enumerate(names) if name in known}


def _full_name(component: str, point: str) -> str:
    """``left_hand/index_mcp`` of LEFT_HAND_LANDMARKS and INDEX_FINGER_MCP."""
    return f"{COMPONENTS.get(component)}/{point.lower().replace('_finger_', '_')}"


def read_pose(clip: Clip, *, points: tuple[str, ...] | None = None) -> KeypointRecording:
    """Reads one ``.pose`` file, or the clip's span of it.

    A point is missing where its confidence is 0; a group was found where none of its points is missing. Found
    points of a group that was not found whole are kept. Files of two dimensions get z = 0. Depths of a file that
    was moved as a whole (spoken-to-signed adds half a picture to x, y and z) are moved back to MediaPipe's origins.

    Args:
        clip: whose path is the file.
        points: full names of the layout's points; None for ``MEDIAPIPE_HOLISTIC``.

    Raises:
        ClipError: the file cannot be read, has other points, is not in pixels, or holds no keypoint at all; the
            clip's span lies outside.
    """
    layout = _layout(points)
    header, body = _load(clip.path)
    width, height = header.dimensions.width, header.dimensions.height
    if not (width > 0 and height > 0 and 0 < body.fps < float("inf")):
        raise ClipError(clip.path, f"states a picture of {width}x{height} pixels at {body.fps:g} frames a second")
    columns = _columns(header.components)
    _check_points(clip.path, header.components, columns, layout)
    first, last = span_frames(clip, len(body.data), body.fps)
    if not body.data.shape[1]:
        raise ClipError(clip.path, "holds nobody")
    rows = [row for row, name in enumerate(layout.names) if name in columns]
    places = [columns[layout.names[row]] for row in rows]
    dimensions = min(3, body.data.shape[3])
    values = np.full((last - first, len(layout.names), 3), np.nan, np.float32)
    values[:, rows, :] = 0
    values[:, rows, :dimensions] = body.data.data[first:last, 0, places, :dimensions]
    confidence = np.zeros(values.shape[:2], np.float32)
    confidence[:, rows] = body.confidence[first:last, 0, places]
    confidence[~(np.isfinite(values).all(axis=2) & (confidence > 0))] = 0
    values[confidence == 0] = np.nan
    _check_pixels(clip.path, values, width, height)
    values /= np.array([width, height, 1], np.float32)
    _move_depths(values, layout)
    if (largest := np.nanmax(np.abs(values))) > LARGEST_COORDINATE:
        raise ClipError(clip.path, f"is damaged: a coordinate of {largest:g} frame widths")
    presence = [(confidence[:, group] > 0).all(axis=1) for group in layout.group_slices.values()]
    visibility = confidence[:, layout.group_slices.get("pose", slice(0))]
    return KeypointRecording(
        keypoints=ClipKeypoints(
            points=values.astype(np.float16),
            visibility=np.minimum(visibility, 1).astype(np.float16),
            presence=np.stack(presence, axis=1),
        ),
        seconds=np.arange(len(values)) / body.fps,
        frame_rate=float(body.fps),
        aspect_ratio=width / height,
    )


@functools.lru_cache(maxsize=2)
def _layout(points: tuple[str, ...] | None) -> KeypointLayout:
    return MEDIAPIPE_HOLISTIC if points is None else layout_of(points)


def _load(path: str) -> tuple[Any, Any]:
    """Header and body of a file, checked to be as long as it says."""
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader
    from pose_format.utils.reader import BufferReader

    try:
        reader = BufferReader(Path(path).read_bytes())
    except FileNotFoundError:
        raise ClipError(path, "no such file") from None
    except OSError as error:
        raise ClipError(path, f"cannot be read ({error.strerror})") from None
    try:
        header = PoseHeader.read(reader)
        start = reader.read_offset
        body = NumPyPoseBody.read(header, reader)
    except Exception as error:  # the library checks nothing: damaged bytes end in errors of any kind
        raise ClipError(path, f"is no .pose file, or is damaged ({type(error).__name__}: {error})") from None
    num_frames = len(body.data)
    if round(header.version, 3) == 0.1:
        # The library goes by the file's length instead, and takes half a file for a shorter one.
        _, stated = struct.unpack_from("<HH", reader.buffer, start)
        if stated != num_frames % SHORT_FRAMES:
            raise ClipError(path, f"is cut off or damaged: has {num_frames} frames and states {stated}")
    if reader.bytes_left():
        raise ClipError(path, f"is damaged: {reader.bytes_left()} bytes follow after its {num_frames} frames")
    return header, body


def _check_points(path: str, components: Sequence[Any], columns: dict[str, int], layout: KeypointLayout) -> None:
    """Raises ``ClipError`` unless each group is there with all the points of the layout, or not at all."""
    if not columns:
        names = ", ".join(component.name for component in components) or "none"
        raise ClipError(path, f"has the components {names}; expected {', '.join(COMPONENTS)}")
    for group, rows in layout.group_slices.items():
        wanted = layout.names[rows]
        found = len(columns.keys() & set(wanted))
        if found not in (0, len(wanted)):
            raise ClipError(path, f"has {found} of the {len(wanted)} points of the group {group} in {layout.name}")
    for component in components:
        if component.name in COMPONENTS and component.format not in ("XYC", "XYZC"):
            raise ClipError(path, f"{component.name} has the format {component.format}; expected XYC or XYZC")


def _check_pixels(path: str, values: np.ndarray, width: int, height: int) -> None:
    """Raises ``ClipError`` unless values ``[T, K, 3]``, NaN where missing, can be pixels of such a picture."""
    found = values[np.isfinite(values[..., 0])][:, :2]
    if not len(found):
        raise ClipError(path, "every point is missing")
    sizes = np.ptp(found, axis=0)
    if (sizes < SMALLEST_PIXELS).all() and (sizes < SMALLEST_SHARE * np.array([width, height])).all():
        raise ClipError(
            path,
            f"all its points lie within {sizes[0]:.2g}x{sizes[1]:.2g} pixels of a picture of {width}x{height}: its "
            "values were normalised and are no pixels; take the files from before that",
        )
    if (np.abs(found) > FARTHEST * np.array([width, height])).any(axis=1).mean() > 0.5:
        x, y = np.abs(found).max(axis=0)
        raise ClipError(path, f"x and y reach {x:.6g} and {y:.6g}, far outside of its picture of {width}x{height}")


def _move_depths(values: np.ndarray, layout: KeypointLayout) -> None:
    """Moves the depths of groups whose origin is not where MediaPipe has it; in place."""
    offsets = {}
    for group, origin in DEPTH_ORIGINS.items():
        if group in layout.group_slices and set(origin) <= set(layout.names):
            depths = values[:, layout.rows(origin), 2].mean(axis=1)
            depths = depths[np.isfinite(depths)]
            offsets[group] = float(np.median(depths)) if len(depths) else 0.0
    for group, offset in offsets.items():
        if abs(offset) > FARTHEST_DEPTH_ORIGIN:
            values[:, layout.group_slices[group], 2] -= offset
