"""What every source is: settings that ``--set source.KEY=VALUE`` can change, and a listing of clips."""

import abc
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfrecords_tools.clips import Clip, SkippedPath
from tfrecords_tools.extract import KeypointReader
from tfrecords_tools.keypoint_layout import KeypointLayout
from tfrecords_tools.settings import Settings


@dataclass
class Listing:
    """What a source found.

    Attributes:
        clips: to convert.
        skipped: what could not be listed, and why.
        notes: lines for the user, e.g. how much of a published list is there.
        reader: of a dataset of keypoints; None where clips are videos.
        layout: of these keypoints.
        missing: of a published list of clips, those that are not there, one line each; None where a format has
            no such list.
        coverage: how much of a published list is there, as plain JSON values; kept beside the records as
            ``coverage.json``.
    """

    clips: list[Clip] = field(default_factory=list)
    skipped: list[SkippedPath] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reader: KeypointReader | None = None
    layout: KeypointLayout | None = None
    missing: list[str] | None = None
    coverage: dict[str, Any] | None = None


class Source(Settings, abc.ABC):
    """A dataset format. Subclasses' fields are its settings; their docstring is its documentation."""

    @abc.abstractmethod
    def list_clips(self, path: Path) -> Listing:
        """Lists the clips at ``path``.

        Raises:
            UserError: ``path`` is missing or is not of this format.
        """
