"""A table of keypoint arrays: what any other keypoint data can be brought into.

A folder of three things:

- ``manifest.csv`` as ``sources/manifest.py`` describes it, whose paths are arrays;
- ``.npy`` arrays ``[T, K, C]``, one a clip or several clips' (``start_frame`` and ``end_frame`` say which part): K
  points with C = 2 (x, y) or 3 (x, y, z) numbers each; NaN is missing;
- ``layout.json``, which names the points: see ``ArrayLayout``.

``tfrecords_tools/array_records.py`` makes such a folder; ``examples/`` shows it at work. The format is this
project's own.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydantic

from tfrecords_tools.clips import Clip, ClipError
from tfrecords_tools.command_line import UserError
from tfrecords_tools.extract import KeypointRecording
from tfrecords_tools.keypoint_layout import LAYOUTS, KeypointLayout
from tfrecords_tools.keypoints import ClipKeypoints
from tfrecords_tools.settings import Settings, validate
from tfrecords_tools.sources.base import Listing
from tfrecords_tools.sources.keypoint_table import span_frames, without_boxes
from tfrecords_tools.sources.manifest import FILE_NAME, Manifest

LAYOUT_NAME = "layout.json"
# In frame widths and heights a person is rarely outside -1 to 2. Beyond 10 the values are something else, pixels
# mostly, of which float16 would keep only some: from 2048 on it has no odd numbers.
FARTHEST = 10.0
LARGEST_VALUE = float(np.finfo(np.float16).max)


class ArrayLayout(Settings):
    """What the arrays' points and numbers are; the content of ``layout.json``.

    Attributes:
        name: of the layout. One of ``LAYOUTS`` must have that layout's points.
        points: full names in row order, ``group/point``; those of a group follow each other.
        mirror_pairs: points that change places when the picture is mirrored.
        frame_rate: frames per second.
        width: of the picture, where x and z are in pixels; x and z are divided by it. None where x and y are
            already in frame widths and heights.
        height: likewise for y.
        aspect_ratio: width / height of the picture where no sizes are given; 0 when not known.
    """

    name: str = pydantic.Field(min_length=1)
    points: tuple[str, ...] = pydantic.Field(min_length=1)
    mirror_pairs: tuple[tuple[str, str], ...] = ()
    frame_rate: float = pydantic.Field(gt=0)
    width: float | None = pydantic.Field(default=None, gt=0)
    height: float | None = pydantic.Field(default=None, gt=0)
    aspect_ratio: float = pydantic.Field(default=0.0, ge=0)

    @pydantic.model_validator(mode="after")
    def _check(self) -> "ArrayLayout":
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height: give both (the numbers are pixels) or neither (frame widths)")
        if self.width is not None and self.aspect_ratio:
            raise ValueError("aspect_ratio follows from width and height; give these alone")
        stated = KeypointLayout.from_names(self.name, self.points, self.mirror_pairs)
        known = LAYOUTS.get(self.name)
        if known is None:
            return self
        if known.names != self.points:
            raise ValueError(f"points: {_first_difference(known.names, self.points)} in the layout {self.name}")
        if self.mirror_pairs and set(map(frozenset, known.mirror_pairs)) != set(
            map(frozenset, stated.mirror_pairs)
        ):
            raise ValueError(f"mirror_pairs: are not those of the layout {self.name}; leave them out")
        return self

    @classmethod
    def load(cls, path: Path) -> "ArrayLayout":
        """Reads a ``layout.json``.

        Raises:
            UserError: it is missing, is no JSON object, or makes no sense.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; it must name the arrays' points") from None
        except ValueError as error:  # UnicodeDecodeError is one, too
            raise UserError(f"{path}: is no JSON ({error})") from None
        if not isinstance(content, dict):
            raise UserError(f"{path}: holds no JSON object; expected name, points, frame_rate, ...")
        return validate(cls, content, str(path))

    @property
    def keypoint_layout(self) -> KeypointLayout:
        """The layout as records describe it."""
        known = LAYOUTS.get(self.name)
        return known or KeypointLayout.from_names(self.name, self.points, self.mirror_pairs)


def _first_difference(known: Sequence[str], stated: Sequence[str]) -> str:
    if len(known) != len(stated):
        return f"{len(stated)} given, {len(known)}"
    row = next(row for row, (a, b) in enumerate(zip(known, stated, strict=True)) if a != b)
    return f"row {row} is given as {stated[row]!r}, it is {known[row]!r}"


class KeypointArrays(Manifest):
    """``manifest.csv`` of ``.npy`` arrays ``[T, K, 2 or 3]``, with a ``layout.json`` that names the K points.

    The columns are those of ``manifest``, without ``bbox``. ``layout.json``, beside the CSV: ``name``, ``points``
    (``["left_hand/wrist", ...]``), ``mirror_pairs``, ``frame_rate``, and ``width`` and ``height`` where the numbers
    are pixels.
    """

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        listing = super().list_clips(path)
        layout = ArrayLayout.load((path / FILE_NAME if path.is_dir() else path).parent / LAYOUT_NAME)
        # What the numbers of an array become: a clip read otherwise is another clip, and is converted again.
        reading = {
            f"layout.{key}": str(getattr(layout, key)) for key in ("frame_rate", "width", "height", "aspect_ratio")
        }
        clips, boxed = without_boxes(listing.clips, "an array is")
        return Listing(
            clips=[replace(clip, metadata=clip.metadata | reading) for clip in clips],
            skipped=[*listing.skipped, *boxed],
            reader=functools.partial(read_array, numbers=ArrayNumbers.of(layout)),
            layout=layout.keypoint_layout,
        )


@dataclass(frozen=True)
class ArrayNumbers:
    """What is needed to read an array; small, for it goes to the workers with every clip.

    Attributes:
        num_points: ``K``.
        groups: (start, end) rows of each group.
        num_pose_points: rows of the group ``pose``; 0 without.
        scale: what x, y and z are divided by.
        frame_rate: frames per second.
        aspect_ratio: width / height of the picture; 0 when not known.
    """

    num_points: int
    groups: tuple[tuple[int, int], ...]
    num_pose_points: int
    scale: tuple[float, float, float]
    frame_rate: float
    aspect_ratio: float

    @classmethod
    def of(cls, layout: ArrayLayout) -> "ArrayNumbers":
        """Those of a layout."""
        named = layout.keypoint_layout
        width, height = layout.width or 1.0, layout.height or 1.0
        return cls(
            num_points=len(named.names),
            groups=tuple((rows.start, rows.stop) for rows in named.group_slices.values()),
            num_pose_points=len(dict(named.groups).get("pose", ())),
            scale=(width, height, width),
            frame_rate=layout.frame_rate,
            aspect_ratio=layout.aspect_ratio if layout.width is None else width / height,
        )


def read_array(clip: Clip, *, numbers: ArrayNumbers) -> KeypointRecording:
    """Reads one clip's array.

    A point is missing where any of its numbers is NaN; a group was found where none of its points is missing. Found
    points of a group that was not found whole are kept. Arrays of two coordinates get z = 0.

    Raises:
        ClipError: the file is missing or no numeric ``.npy`` array ``[T, K, 2 or 3]``; it holds no frame, or the
            clip's span lies outside; or its numbers are infinite or far from being in frame widths and heights.
    """
    array = _load(clip.path, numbers.num_points)
    if not len(array):
        raise ClipError(clip.path, "holds no frame")
    first, last = span_frames(clip, len(array), numbers.frame_rate)
    array = array[first:last]
    points = np.zeros((len(array), numbers.num_points, 3), np.float32)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
        points[..., : array.shape[2]] = array
    points /= np.array(numbers.scale, np.float32)
    points[np.isnan(points).any(axis=2)] = np.nan
    _check_range(clip.path, points)
    presence = np.stack(
        [np.isfinite(points[:, start:end]).all(axis=(1, 2)) for start, end in numbers.groups], axis=1
    )
    return KeypointRecording(
        keypoints=ClipKeypoints(
            points=points.astype(np.float16),
            visibility=np.zeros((len(points), numbers.num_pose_points), np.float16),
            presence=presence,
        ),
        seconds=np.arange(len(points)) / numbers.frame_rate,
        frame_rate=numbers.frame_rate,
        aspect_ratio=numbers.aspect_ratio,
    )


def _load(path: str, num_points: int) -> np.ndarray:
    try:
        # Mapped, not read: where an array holds many clips, each reads its own part only.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ClipError(path, "no such file") from None
    except (ValueError, EOFError) as error:
        raise ClipError(path, f"is no .npy array, or is cut off ({error})") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise ClipError(path, "is an .npz archive; expected a .npy array")
    if array.dtype.kind not in "fiu":
        raise ClipError(path, f"holds {array.dtype}, not numbers")
    if array.ndim != 3 or array.shape[1] != num_points or array.shape[2] not in (2, 3):
        shape = "x".join(map(str, array.shape)) or "a single number"
        raise ClipError(
            path, f"is {shape}; expected frames x {num_points} points (those of {LAYOUT_NAME}) x 2 or 3 coordinates"
        )
    return array


def _check_range(path: str, points: np.ndarray) -> None:
    """Raises ``ClipError`` unless points ``[T, K, 3]`` can be in frame widths and heights."""
    found = points[~np.isnan(points[..., 0])]
    if not len(found):
        return
    sizes = np.abs(found)
    if not (sizes <= LARGEST_VALUE).all():
        raise ClipError(path, "holds infinite or huge values; a missing point is NaN")
    is_far = (sizes[:, :2] > FARTHEST).any(axis=1)
    if is_far.mean() > 0.5:
        x, y = sizes[:, :2].max(axis=0)
        raise ClipError(
            path,
            f"x and y reach {x:.6g} and {y:.6g}: these are no frame widths and heights; if they are pixels, give "
            f"the picture's width and height in {LAYOUT_NAME}",
        )
