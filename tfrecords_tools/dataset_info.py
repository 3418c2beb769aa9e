"""A folder of records: the names of its files, and ``dataset_info.json``, which says what they hold.

A shard is ``{dataset}-{split}.tfrecord-00000-of-00016``.
"""

import functools
import importlib.metadata
import re
from pathlib import Path

import pydantic

from tfrecords_tools.clips import ClipSpec, SplitSettings
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import LAYOUTS, KeypointLayout
from tfrecords_tools.settings import Settings

# Version of the record layout in ``schema.py``; raised by every change that old readers would misread.
SCHEMA_VERSION = 1
SHARD_PATTERN = re.compile(r"(?P<dataset>.+)-(?P<split>[a-z]+)\.tfrecord-(?P<index>\d{5})-of-(?P<count>\d{5})")
FILE_NAME = "dataset_info.json"
LABEL_MAP_NAME = "label_map.json"
SKIPPED_NAME = "skipped.csv"
COVERAGE_NAME = "coverage.json"
TOOLS = ("av", "mediapipe", "numpy", "opencv-contrib-python")


def shard_name(dataset: str, split: str, index: int, count: int) -> str:
    """Name of shard ``index`` of ``count``."""
    return f"{dataset}-{split}.tfrecord-{index:05d}-of-{count:05d}"


class DatasetError(UserError):
    """A folder of records that is missing, broken or of another version."""


class SplitInfo(Settings):
    """What one split holds.

    Attributes:
        clips: number of records.
        frames: number of frames over all of them.
        glosses: clips per gloss; a sentence counts once for each of its glosses.
        signers: clips per signer, where signers are known.
    """

    clips: int = 0
    frames: int = 0
    glosses: dict[str, int] = pydantic.Field(default_factory=dict)
    signers: dict[str, int] = pydantic.Field(default_factory=dict)


class LayoutInfo(Settings):
    """Names, order and mirror pairs of the keypoints' K points, and the meaning of their C values."""

    name: str
    points: tuple[str, ...]
    mirror_pairs: tuple[tuple[str, str], ...] = ()
    coordinates: tuple[str, ...] = ("x in frame widths", "y in frame heights", "z as MediaPipe gives it")


class KeypointStatistics(Settings):
    """Of one group of keypoints, over the training split.

    Attributes:
        presence: share of frames in which the group was found.
        mean: of x, y, z over the points found; None where there are none.
        standard_deviation: likewise.
    """

    presence: float
    mean: tuple[float, float, float] | None
    standard_deviation: tuple[float, float, float] | None


class PixelStatistics(Settings):
    """Of R, G, B in [0, 255].

    Attributes:
        mean: of each colour.
        standard_deviation: likewise.
    """

    mean: tuple[float, float, float]
    standard_deviation: tuple[float, float, float]


class DatasetInfo(Settings):
    """The content of ``dataset_info.json``.

    Attributes:
        schema_version: of every record.
        name: of the dataset; shards are named after it.
        source: which importer read it.
        clip_spec: how clips became records.
        splits: counts by split.
        split_settings: how splits were drawn where the source gave none.
        shards: records in each shard file.
        num_skipped: clips that could not be read; ``skipped.csv`` lists them.
        crop_origins: clips by what their crop was made from.
        mean: of R, G, B in [0, 255] over the training split's stored frames; None without frames.
        standard_deviation: likewise.
        keypoint_layout: None without keypoints.
        keypoint_statistics: by group of the layout.
        tool_versions: what converted it.
    """

    schema_version: int
    name: str
    source: str
    clip_spec: ClipSpec
    splits: dict[str, SplitInfo]
    split_settings: SplitSettings
    shards: dict[str, int]
    num_skipped: int
    crop_origins: dict[str, int]
    mean: tuple[float, float, float] | None
    standard_deviation: tuple[float, float, float] | None
    keypoint_layout: LayoutInfo | None
    keypoint_statistics: dict[str, KeypointStatistics] = pydantic.Field(default_factory=dict)
    tool_versions: dict[str, str]

    @property
    def pixel_statistics(self) -> PixelStatistics | None:
        """Of the training split's stored frames; None without frames."""
        if self.mean is None or self.standard_deviation is None:
            return None
        return PixelStatistics(mean=self.mean, standard_deviation=self.standard_deviation)

    @property
    def layout(self) -> KeypointLayout | None:
        """The keypoint layout: one of ``LAYOUTS``, or the dataset's own.

        Raises:
            DatasetError: it is called like one of ``LAYOUTS`` and has other points, or makes no sense.
        """
        if self.keypoint_layout is None:
            return None
        stated = self.keypoint_layout
        layout = LAYOUTS.get(stated.name)
        if layout is None:
            try:
                return KeypointLayout.from_names(stated.name, stated.points, stated.mirror_pairs)
            except ValueError as error:
                raise DatasetError(f"{FILE_NAME}: keypoint_layout: {error}") from None
        if layout.names != stated.points:
            raise DatasetError(f"keypoint layout {stated.name!r} has other points than this version knows")
        return layout

    @classmethod
    def load(cls, directory: Path) -> "DatasetInfo":
        """Reads a folder's ``dataset_info.json``.

        Raises:
            DatasetError: it is missing, or is none.
        """
        path = directory / FILE_NAME
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            hint = "no such folder" if not directory.is_dir() else f"holds no {FILE_NAME}"
            raise DatasetError(
                f"{directory}: {hint}; make records with: python -m tfrecords_tools.convert"
            ) from None
        except UnicodeDecodeError:
            raise DatasetError(f"{path}: is damaged (not UTF-8 text); convert the videos again") from None
        except pydantic.ValidationError as error:
            fault = error.errors(include_input=False)[0]
            where = ".".join(str(part) for part in fault["loc"]) or "file"
            raise DatasetError(
                f"{path}: {where}: {fault['msg']}; it was written by another version or is damaged: "
                "convert the videos again"
            ) from None


@functools.cache
def installed_versions(packages: tuple[str, ...] = TOOLS) -> dict[str, str]:
    """Installed versions of packages; by default of those that shape records."""
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions
