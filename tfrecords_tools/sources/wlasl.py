"""WLASL: isolated signs of American Sign Language, as far as the videos can still be had.

Sources: Li, Rodriguez, Yu and Li, "Word-level Deep Sign Language Recognition from Video", WACV 2020, and its
repository github.com/dxli94/WLASL: ``README.md`` (fields; subsets are the first K glosses of the file),
``start_kit/preprocess.py`` (what became of the videos), ``code/I3D/preprocess`` (``nslt_*.json``, class list) and
``code/I3D/datasets/nslt_dataset.py`` (which plays a video whole: the frames of ``nslt_*.json`` are those of the
video that it was cut from).
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import pydantic

from tfrecords_tools.clips import SPLIT_NAMES, SPLITS, Clip, SkippedPath
from tfrecords_tools.command_line import UserError
from tfrecords_tools.sources.base import Listing, Source
from tfrecords_tools.video import VIDEO_SUFFIXES, WHOLE_VIDEO, Span

METADATA_NAMES = ("WLASL_v*.json", "nslt_*.json")
YOUTUBE = ("youtube", "youtu.be")
NUM_WORST_GLOSSES = 5

# Clips by split and gloss.
Counts = Counter[tuple[str, str]]


class _Record(pydantic.BaseModel):
    """What we read of a published record; it may hold more."""

    model_config = pydantic.ConfigDict(frozen=True, coerce_numbers_to_str=True)


Record = TypeVar("Record", bound=_Record)


class _Instance(_Record):
    """A video in ``WLASL_v0.3.json``.

    ``frame_start`` counts from 1; ``frame_end`` is the last frame, -1 the last of the video; both count at ``fps``.
    ``bbox`` is ``(xmin, ymin, xmax, ymax)`` in pixels.
    """

    video_id: str = pydantic.Field(min_length=1)
    split: Literal["train", "val", "test"]
    url: str = ""
    bbox: tuple[int, int, int, int] | None = None
    fps: float = pydantic.Field(default=25, gt=0)
    frame_start: int = pydantic.Field(default=1, ge=1)
    frame_end: int = -1
    signer_id: str = ""
    source: str = ""
    variation_id: str = ""

    @pydantic.model_validator(mode="after")
    def _check(self) -> "_Instance":
        if self.bbox and (self.bbox[0] >= self.bbox[2] or self.bbox[1] >= self.bbox[3]):
            raise ValueError(f"bbox {list(self.bbox)} is empty")
        if 0 < self.frame_end < self.frame_start:
            raise ValueError(f"frame_end {self.frame_end} is before frame_start {self.frame_start}")
        return self


class _Entry(_Record):
    """A gloss in ``WLASL_v0.3.json``; its instances are checked one by one."""

    gloss: str = pydantic.Field(min_length=1)
    instances: list[Any]


class _SubsetVideo(_Record):
    """A video in ``nslt_*.json``; ``action`` is (class, first frame, last frame)."""

    subset: Literal["train", "val", "test"]
    action: tuple[int, int, int]


# A gloss, and a video of it.
_Sign = tuple[str, _Instance]


class WLASL(Source):
    """WLASL: ``WLASL_v0.3.json``, or ``nslt_*.json`` with a class list, beside a folder of videos.

    The input is the JSON, or the folder that holds it. Videos that are not there are the rule: each is skipped, and
    notes and ``coverage.json`` tell how much is left, by split and gloss.

    Attributes:
        metadata: name of the JSON in the input folder; by default the one ``WLASL_v*.json``, else ``nslt_*.json``.
        class_list: name of the list of glosses that ``nslt_*.json`` needs.
        videos: folder of the videos, below the one that holds the JSON: ``<video_id>.mp4``, or another video type.
        num_glosses: the first so many glosses: 20, 100, 300, 1000 or 2000 for the published subsets.
        signers: ids of signers; the clips of all others are left out. All when empty.
        trimmed: whether the videos went through the authors' ``preprocess.py``, which cuts a clip out of each
            YouTube video and calls it ``<video_id>.mp4``; they are then whole clips. False for raw downloads
            (``raw_videos_mp4``, where a YouTube video has its YouTube id for a name): clips are cut by frame_start
            and frame_end.
        crop_to_signer: take the published box around the signer for the frame, where the JSON has one.
    """

    metadata: str = ""
    class_list: str = "wlasl_class_list.txt"
    videos: str = "videos"
    num_glosses: int | None = pydantic.Field(default=None, ge=1)
    signers: tuple[str, ...] = ()
    trimmed: bool = True
    crop_to_signer: bool = True

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        file = self._metadata_file(path)
        content, skipped = _load_json(file), list[SkippedPath]()
        signs = self._signs_of_subset if isinstance(content, dict) else self._signs
        folder = file.parent / self.videos
        files = _video_files(folder)
        listing, missing = Listing(skipped=skipped), list[str]()
        of, have = Counts(), Counts()
        seen: set[str] = set()
        for gloss, video in signs(content, file, skipped):
            if video.video_id in seen:
                skipped.append(SkippedPath(f"{file}: {video.video_id}", "the video is listed twice"))
                continue
            seen.add(video.video_id)
            split = SPLIT_NAMES[video.split]
            of[split, gloss] += 1
            found = self._find(video, files)
            if found:
                have[split, gloss] += 1
                listing.clips.append(self._clip(gloss, video, split, found))
            else:
                missing.append("\t".join((video.video_id, video.url, gloss, split)))
                skipped.append(SkippedPath(str(folder / f"{video.video_id}.mp4"), "not downloaded"))
        if not seen:
            raise UserError(f"{file}: lists no clip" + (" of these signers" if self.signers else ""))
        listing.missing = missing
        listing.notes = _notes(file.name, have, of)
        listing.coverage = _coverage(file.name, have, of)
        return listing

    def _metadata_file(self, path: Path) -> Path:
        if not path.is_dir():
            return path
        if self.metadata:
            return path / self.metadata
        for pattern in METADATA_NAMES:
            files = sorted(path.glob(pattern))
            if len(files) == 1:
                return files[0]
            if files:
                names = ", ".join(file.name for file in files)
                raise UserError(f"{path}: holds {names}; choose one with --set source.metadata=NAME")
        raise UserError(f"{path}: holds no {' or '.join(METADATA_NAMES)}; see --set source.metadata=NAME")

    def _signs(self, content: Any, file: Path, skipped: list[SkippedPath]) -> Iterator[_Sign]:
        """Clips of ``WLASL_v0.3.json``, in its order; what makes no sense goes to ``skipped``."""
        if not isinstance(content, list):
            raise UserError(f"{file}: holds {type(content).__name__}, expected a list of glosses with instances")
        self._check_num_glosses(len(content), file)
        for index, values in enumerate(content[: self.num_glosses]):
            entry = _parse(_Entry, values, f"{file}: entry {index}", skipped)
            if entry is None:
                continue
            for number, instance in enumerate(entry.instances):
                video = _parse(_Instance, instance, f"{file}: gloss {entry.gloss!r}, instance {number}", skipped)
                if video and (not self.signers or video.signer_id in self.signers):
                    yield entry.gloss, video

    def _signs_of_subset(self, content: Any, file: Path, skipped: list[SkippedPath]) -> Iterator[_Sign]:
        """Clips of ``nslt_*.json``."""
        if not self.trimmed or self.signers:
            raise UserError(
                f"source.{'signers' if self.signers else 'trimmed=false'}: {file.name} knows neither signers nor "
                "where videos come from; use WLASL_v0.3.json, with source.num_glosses for the subset"
            )
        glosses = _load_class_list(file.parent / self.class_list)
        parsed = {
            name: _parse(_SubsetVideo, values, f"{file}: {name}", skipped) for name, values in content.items()
        }
        videos = {name: video for name, video in parsed.items() if video}
        # The list names all 2,000 classes; a subset has the first of them.
        self._check_num_glosses(max((video.action[0] + 1 for video in videos.values()), default=0), file)
        for video_id, video in videos.items():
            gloss_class = video.action[0]
            if not 0 <= gloss_class < len(glosses):
                reason = f"class {gloss_class} is not in {self.class_list}"
                skipped.append(SkippedPath(f"{file}: {video_id}", reason))
            elif self.num_glosses is None or gloss_class < self.num_glosses:
                yield glosses[gloss_class], _Instance(video_id=video_id, split=video.subset)

    def _check_num_glosses(self, available: int, file: Path) -> None:
        if self.num_glosses is not None and self.num_glosses > available:
            raise UserError(f"source.num_glosses={self.num_glosses}: {file} has {available} glosses")

    def _find(self, video: _Instance, files: dict[str, str]) -> str | None:
        if not self.trimmed and any(site in video.url for site in YOUTUBE) and video.url[-11:] in files:
            return files[video.url[-11:]]
        return files.get(video.video_id)

    def _clip(self, gloss: str, video: _Instance, split: str, path: str) -> Clip:
        known = {"url": video.url, "source": video.source, "variation_id": video.variation_id}
        return Clip(
            path=path,
            glosses=(gloss,),
            media_id=video.video_id,
            signer=video.signer_id,
            split=split,
            span=WHOLE_VIDEO if self.trimmed else _span(video),
            bbox=video.bbox if self.crop_to_signer else None,
            metadata={key: value for key, value in known.items() if value},
        )


def _span(video: _Instance) -> Span:
    """Part of a raw video, in seconds: frames count at ``fps``, which need not be the file's own rate."""
    return Span(
        start_seconds=(video.frame_start - 1) / video.fps if video.frame_start > 1 else None,
        end_seconds=video.frame_end / video.fps if video.frame_end > 0 else None,
    )


def _video_files(folder: Path) -> dict[str, str]:
    """Paths of a folder's videos by name without suffix; of several types, the first of ``VIDEO_SUFFIXES``.

    One pass over the folder: to ask for each of 21,095 videos takes much longer on a network drive.
    """
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted((entry.name for entry in entries), key=_suffix_rank, reverse=True)
    return {Path(name).stem: str(folder / name) for name in names if _suffix_rank(name) < len(VIDEO_SUFFIXES)}


def _suffix_rank(name: str) -> int:
    suffix = os.path.splitext(name)[1].lower()
    return VIDEO_SUFFIXES.index(suffix) if suffix in VIDEO_SUFFIXES else len(VIDEO_SUFFIXES)


def _load_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: no such file") from None
    except ValueError as error:
        raise UserError(f"{file}: is no JSON ({error})") from None


def _load_class_list(file: Path) -> list[str]:
    """Glosses by class, from lines of class, tab, gloss."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; nslt_*.json needs it for the names of its glosses") from None
    except UnicodeDecodeError:
        raise UserError(f"{file}: is no UTF-8 text") from None
    glosses = []
    for number, line in enumerate(line for line in lines if line.strip()):
        index, _, gloss = line.partition("\t")
        if index.strip() != str(number) or not gloss.strip():
            raise UserError(f"{file}:{number + 1}: found {line!r}, expected {number}, a tab, and a gloss")
        glosses.append(gloss.strip())
    return glosses


def _parse(model: type[Record], values: Any, where: str, skipped: list[SkippedPath]) -> Record | None:
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = ".".join(map(str, fault["loc"]))
        reason = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "model_type":
            reason = f"is {type(values).__name__}, expected fields and values"
        skipped.append(SkippedPath(where, f"{field}: {reason}" if field else reason))
        return None


def _notes(name: str, have: Counts, of: Counts) -> list[str]:
    """Coverage as lines for people: in all, by split, and the glosses that suffer most."""
    lines = [f"{name}: {_share(have.total(), of.total())} videos are here"]
    here, published = _summed(have, by=0), _summed(of, by=0)
    lines += [f"  {split:<10}  {_share(here[split], published[split])}" for split in SPLITS]
    if have.total() < of.total():
        here, published = _summed(have, by=1), _summed(of, by=1)
        worst = sorted(published, key=lambda gloss: (here[gloss] / published[gloss], gloss))[:NUM_WORST_GLOSSES]
        untrained = sum(not have["train", gloss] for gloss in published)
        lines += [
            "  worst       " + ", ".join(f"{gloss} {here[gloss]} of {published[gloss]}" for gloss in worst),
            f"  {untrained} of {len(published)} glosses have no training video",
            "  what is missing: --list-missing; what was used, and its hash: coverage.json",
        ]
    return lines


def _share(count: int, total: int) -> str:
    return f"{count:,} of {total:,}" + (f" ({count / total:.1%})" if total else "")


def _coverage(name: str, have: Counts, of: Counts) -> dict[str, Any]:
    """Coverage as plain JSON values: in all, by split, and by gloss and split."""
    here, published = _summed(have, by=0), _summed(of, by=0)
    glosses: dict[str, dict[str, dict[str, int]]] = {}
    for (split, gloss), count in of.items():
        glosses.setdefault(gloss, {})[split] = {"have": have[split, gloss], "of": count}
    return {
        "metadata": name,
        "have": have.total(),
        "of": of.total(),
        "splits": {split: {"have": here[split], "of": published[split]} for split in SPLITS},
        "glosses": glosses,
    }


def _summed(counts: Counts, by: int) -> Counter[str]:
    """Counts by split (0) or by gloss (1)."""
    total = Counter[str]()
    for key, count in counts.items():
        total[key[by]] += count
    return total
