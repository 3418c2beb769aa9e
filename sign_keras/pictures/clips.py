"""The clips that are shown: out of the run's records or out of video files, just as the model takes them."""

import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from sign_keras.data.clip import prepare_clip
from sign_keras.data.compatibility import check_clip_spec
from sign_keras.data.dataset import Records
from sign_keras.data.parsing import parse_record
from sign_keras.data.sampling import clip_seconds
from sign_keras.inference.artefact import Artefact
from sign_keras.inference.predictor import Predictor
from sign_keras.reporting import PREDICTIONS_NAME
from tfrecords_tools.clips import SPLITS, SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.extract import SkippedClip
from tfrecords_tools.keypoint_layout import KeypointLayout
from tfrecords_tools.shards import find_shards, read_shard

RIGHT_CLIPS, WRONG_CLIPS = 2, 2  # shown where no clip is asked for
NAMES_IN_ERROR = 3


@dataclass(frozen=True)
class ShownClip:
    """A clip as a model takes it, and what people call it.

    Attributes:
        name: its media id, or the video's path.
        signer: empty where not known.
        glosses: what is signed, as the records write it; None of a video, of which nobody says.
        inputs: a batch of one, as ``Artefact.outputs`` takes it.
        edges: ``[n + 1]`` seconds from the clip's beginning: where each of its n real frames begins, and the last
            ends.
        layout: of its keypoints; None of a model of frames.
        aspect: width / height of the picture that keypoints are in; 1 where not known.
    """

    name: str
    signer: str
    glosses: tuple[str, ...] | None
    inputs: dict[str, np.ndarray]
    edges: np.ndarray
    layout: KeypointLayout | None = None
    aspect: float = 1.0

    @property
    def num_frames(self) -> int:
        """Real frames that the model sees."""
        return len(self.edges) - 1


def frame_edges(timestamps: np.ndarray, sampling: SamplingSpec, frame_rate: float, num_frames: int) -> np.ndarray:
    """Where sampled frames begin and end, ``[num_frames + 1]`` seconds; see ``data.sampling``.

    Args:
        timestamps: ``[N]`` microseconds of the clip's own frames.
        sampling: which of them the model sees.
        frame_rate: of the clip itself.
        num_frames: real ones that the model sees.
    """
    length = float(clip_seconds(tf.constant(timestamps), sampling.frame_rate or frame_rate or 1.0))
    if sampling.frame_rate is None:
        return np.linspace(0.0, length, num_frames + 1)
    start = max((length - sampling.num_frames / sampling.frame_rate) / 2, 0.0)
    return start + np.arange(num_frames + 1) / sampling.frame_rate


def open_clips(names: Sequence[str], artefact: Artefact, records: Records | None, split: str) -> list[ShownClip]:
    """Clips by name: videos that exist are read, other names are looked for in the records.

    Args:
        names: media ids or paths of videos.
        artefact: the model that takes them.
        records: where media ids are; None where there are none.
        split: looked through first, and the one whose clips an error names.

    Raises:
        UserError: there is no such clip, or it cannot be read.
    """
    videos = [name for name in names if Path(name).is_file()]
    wanted = [name for name in names if name not in videos]
    found = _from_videos(videos, artefact) if videos else {}
    if wanted:
        if records is None:
            raise UserError(f"--clip {wanted[0]}: no such video, and the run's records are not there to look in")
        check_clip_spec(artefact.clip_spec, records)
        found |= _from_records(wanted, records, split)
    return [found[name] for name in dict.fromkeys(names)]


def _from_videos(paths: Sequence[str], artefact: Artefact) -> dict[str, ShownClip]:
    predictor, found = Predictor(artefact), {}
    for path, extracted in zip(paths, predictor.extract(paths, workers=1), strict=True):
        if isinstance(extracted, SkippedClip):
            raise UserError(f"--clip {path}: {extracted.reason}")
        parsed = predictor.parsed(extracted)
        found[path] = _shown(path, None, parsed, artefact.sampling, artefact.input_names, predictor.layout)
    return found


def _from_records(names: Sequence[str], records: Records, split: str) -> dict[str, ShownClip]:
    layout = records.info.layout if "keypoints" in records.input_names else None
    found: dict[str, ShownClip] = {}
    seen: dict[str, list[str]] = {}
    for part in (split, *(part for part in SPLITS if part != split)):
        if part not in records.info.splits or not records.num_clips(part):
            continue
        for shard in find_shards(records.directory, records.info, part):
            for serialized in read_shard(shard):
                if len(found) == len(set(names)):
                    return found
                parsed = parse_record(tf.constant(serialized), layout)
                name = _text(parsed["media_id"])
                seen.setdefault(part, []).append(name)
                if name in names and name not in found:
                    glosses = tuple(map(_text, parsed["glosses"]))
                    found[name] = _shown(name, glosses, parsed, records.sampling, records.input_names, layout)
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(_no_such_clip(missing[0], records, split, seen))
    return found


def _no_such_clip(name: str, records: Records, split: str, seen: dict[str, list[str]]) -> str:
    everything = [held for part in seen.values() for held in part]
    close = difflib.get_close_matches(name, everything, n=NAMES_IN_ERROR)
    examples = close or seen.get(split, everything)[:NAMES_IN_ERROR]
    counts = ", ".join(f"{part} {len(held)}" for part, held in seen.items())
    return (
        f"--clip {name}: no such clip in {records.directory} ({counts}), and no such video; "
        f"{'did you mean' if close else 'there are'} {', '.join(examples)}"
    )


def _shown(
    name: str,
    glosses: tuple[str, ...] | None,
    parsed: dict[str, Any],
    sampling: SamplingSpec,
    input_names: Sequence[str],
    layout: KeypointLayout | None,
) -> ShownClip:
    clip = prepare_clip(parsed, sampling, input_names, layout=layout)
    inputs = {key: value.numpy()[np.newaxis] for key, value in clip.items()}
    num_frames = int(inputs["frame_mask"].sum()) if "frame_mask" in inputs else sampling.num_frames
    edges = frame_edges(parsed["timestamps"].numpy(), sampling, float(parsed["frame_rate"]), num_frames)
    aspect = float(parsed["aspect_ratio"])
    return ShownClip(name, _text(parsed["signer"]), glosses, inputs, edges, layout, aspect if aspect > 0 else 1.0)


def _text(value: tf.Tensor) -> str:
    return value.numpy().decode("utf-8", "replace")


def default_names(directory: Path, records: Records, split: str) -> list[str]:
    """Clips of the evaluated split, as ``predictions.csv`` has them: the surest right answers and the surest wrong
    ones, each of another gloss or sentence. Without that file, the split's first clips.

    Args:
        directory: of the run.
        records: where its clips are.
        split: that it was evaluated on.

    Raises:
        UserError: the split is empty.
    """
    try:
        with (directory / PREDICTIONS_NAME).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        sure = sorted(rows, key=lambda row: -float(row.get("probability") or row["log_probability"]))
        right, wrong = (_of_each([row for row in sure if _is_right(row) is outcome]) for outcome in (True, False))
    except (FileNotFoundError, KeyError, ValueError):
        right, wrong = [], []
    return [*right[:RIGHT_CLIPS], *wrong[:WRONG_CLIPS]] or first_names(records, split, RIGHT_CLIPS + WRONG_CLIPS)


def first_names(records: Records, split: str, count: int) -> list[str]:
    """The first clips of a split, at most ``count``.

    Raises:
        UserError: the split is empty.
    """
    names: list[str] = []
    for shard in find_shards(records.directory, records.info, split):
        for serialized in read_shard(shard):
            if len(names) == count:
                return names
            names.append(_text(parse_record(tf.constant(serialized), None)["media_id"]))
    return names


def _of_each(rows: list[dict[str, str]]) -> list[str]:
    """The first clip of each gloss or sentence: two of the same would show the same twice."""
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row["gloss"] if "gloss" in row else row["reference"], row["media_id"])
    return list(first.values())


def _is_right(row: dict[str, str]) -> bool:
    if "correct" in row:
        return row["correct"] == "true"
    return row["reference"] == row["hypothesis"]
