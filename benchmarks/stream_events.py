"""Events of live recognition against the truth: rendered streams, of which every sign's beginning and end is known.

A ``sign`` event is right if a sign of its gloss, not yet matched, is signed then: at the same time, or as good as,
for CTC knows the order of signs well, and their times roughly. *Precision* is the share of
events that are right, *recall* the share of signs that were matched. *Latency* is the stream's time from the end of
a matched sign to its event: what the engine waits for, without computing, which is timed beside it. Intervals are
over signers.

Example:
  python -m tfrecords_tools.synthesize --output data/sentences --clips-per-gloss 0 --sentences 12 --num-glosses 12
  python benchmarks/stream_events.py --model runs/keypoint_ctc --input data/sentences --signers s0_003 s0_007
  python benchmarks/rested_signs.py --output data/rested --signers 1 5 26 31
  python benchmarks/stream_events.py --model runs/keypoint_conv_transformer --input data/rested

Landmarks are found once, and kept below ``--input`` in ``landmarks/``.
"""

import argparse
import csv
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rested_signs
import sample_data
from rows import Row
from tqdm import tqdm

from sign_keras.quiet import quiet_tensorflow

quiet_tensorflow()

from sign_keras.bootstrap import ratio_interval  # noqa: E402
from sign_keras.inference.artefact import Artefact  # noqa: E402
from sign_keras.inference.loading import load_artefact  # noqa: E402
from sign_keras.inference.stream import SignStream, StreamEvent  # noqa: E402
from sign_keras.inference.stream_settings import StreamSettings  # noqa: E402
from tfrecords_tools.clips import Clip, ClipSpec  # noqa: E402
from tfrecords_tools.command_line import run_command  # noqa: E402
from tfrecords_tools.extract import ExtractedClip  # noqa: E402
from tfrecords_tools.settings import add_overrides, apply_overrides, validate  # noqa: E402
from tfrecords_tools.workers import extract_clips  # noqa: E402

SPEC = ClipSpec(frames=False)  # keypoints alone
SAMPLES = 2000
TOLERANCE_SECONDS = 0.25  # between an event and its sign


@dataclass(frozen=True)
class Sign:
    """A sign that was signed, or one that an event tells of; in seconds."""

    gloss: str
    start: float
    end: float


@dataclass(frozen=True)
class Stream:
    """A rendered video: ``signs`` in their order, ``seconds`` ``[T]`` and ``landmarks`` ``[T, K, 3]``."""

    signer: str
    signs: list[Sign]
    seconds: np.ndarray
    landmarks: np.ndarray
    aspect_ratio: float


@dataclass
class Outcome:
    """What came of one stream."""

    signer: str
    num_signs: int
    num_events: int = 0
    num_right: int = 0
    latencies: list[float] = field(default_factory=list)
    push_ms: list[float] = field(default_factory=list)


def main() -> None:
    """Runs the benchmark."""
    arguments = _parse()
    settings = validate(StreamSettings, apply_overrides({}, arguments.overrides), "--set")
    streams = read_streams(arguments.input, arguments.signers, arguments.workers)
    artefact = load_artefact(arguments.model)
    outcomes = [measure(artefact, stream, settings) for stream in tqdm(streams, unit="stream", disable=None)]
    print(json.dumps(summarize(outcomes), indent=1))


def quick(data: Path) -> list[Row]:
    """The time alone: two people who sign the few glosses of the sample data, with rests between."""
    model = sample_data.run(data, "keypoint_gru", epochs=60)
    folder = data / "rested"
    if not (folder / "manifest.csv").exists():
        rested_signs.make(folder, [100, 101], sample_data.NUM_GLOSSES, sample_data.SEED, size=256)
    streams, artefact = read_streams(folder, None, None), load_artefact(model)
    outcomes = [measure(artefact, stream, StreamSettings()) for stream in streams]
    # Its answers are no matter: a model of so few clips knows little.
    return [
        Row(
            "computing of a frame of a stream, landmarks given",
            "time to the next frame",
            [float(np.mean(one.push_ms)) for one in outcomes],
            [1e3 * float(np.diff(stream.seconds).mean()) for stream in streams],
            "ms",
        ),
    ]


def read_streams(folder: Path, signers: Sequence[str] | None, workers: int | None) -> list[Stream]:
    """The videos of a manifest with their truth."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if not signers or row["signer"] in signers]
    missing = [row for row in rows if not _kept(folder, row["path"]).exists()]
    clips = [Clip(str(folder / row["path"]), (), row["path"]) for row in missing]
    for found in tqdm(extract_clips(clips, SPEC, workers), total=len(clips), desc="keypoints", disable=None):
        if not isinstance(found, ExtractedClip) or found.keypoints is None:
            raise SystemExit(f"{found.clip.path}: cannot be read")
        path = _kept(folder, found.clip.media_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        aspect = np.array(found.aspect_ratio)
        np.savez(path, seconds=found.seconds, landmarks=found.keypoints.points, aspect_ratio=aspect)
    return [_stream(folder, row) for row in rows]


def _kept(folder: Path, name: str) -> Path:
    return (folder / "landmarks" / name).with_suffix(".npz")


def _stream(folder: Path, row: dict[str, str]) -> Stream:
    kept = np.load(_kept(folder, row["path"]))
    index = np.load((folder / "joints" / row["path"]).with_suffix(".npz"))["gloss_index"]
    rate, signs = float(row["frame_rate"]), []
    for number, gloss in enumerate(row["glosses"].split()):
        (frames,) = np.nonzero(index == number)
        signs.append(Sign(gloss, frames[0] / rate, (frames[-1] + 1) / rate))
    return Stream(row["signer"], signs, kept["seconds"], kept["landmarks"], float(kept["aspect_ratio"]))


def measure(artefact: Artefact, stream: Stream, settings: StreamSettings) -> Outcome:
    """Pushes a stream through the engine."""
    engine = SignStream(artefact, settings.model_copy(update={"aspect_ratio": stream.aspect_ratio}))
    outcome = Outcome(stream.signer, len(stream.signs))
    events: list[StreamEvent] = []
    for seconds, landmarks in zip(stream.seconds, stream.landmarks, strict=True):
        begin = time.perf_counter()
        events += engine.push(float(seconds), landmarks)
        outcome.push_ms.append((time.perf_counter() - begin) * 1e3)
    events += engine.finish()
    left = list(stream.signs)
    for event in events:
        if event.kind != "sign" or event.end_seconds is None:
            continue
        outcome.num_events += 1
        for sign in left:
            apart = max(event.start_seconds - sign.end, sign.start - event.end_seconds)
            if sign.gloss == event.gloss and apart < TOLERANCE_SECONDS:
                left.remove(sign)
                outcome.num_right += 1
                outcome.latencies.append(event.seconds - sign.end)
                break
    return outcome


def summarize(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All streams together."""
    signers = [outcome.signer for outcome in outcomes]
    right, events, signs = (
        np.array([getattr(outcome, name) for outcome in outcomes], float)
        for name in ("num_right", "num_events", "num_signs")
    )
    latencies = np.concatenate([outcome.latencies for outcome in outcomes])
    push_ms = np.concatenate([outcome.push_ms for outcome in outcomes])
    return {
        "streams": len(outcomes),
        "signers": len(set(signers)),
        "signs": int(signs.sum()),
        "events": int(events.sum()),
        "precision": _share(right, events, signers),
        "recall": _share(right, signs, signers),
        "latency_seconds": {name: round(float(value), 2) for name, value in _quantiles(latencies).items()},
        "push_milliseconds": {name: round(float(value), 1) for name, value in _quantiles(push_ms).items()},
    }


def _share(parts: np.ndarray, wholes: np.ndarray, signers: Sequence[str]) -> dict[str, Any]:
    if not wholes.sum():
        return {"value": None}
    (low, high), over = ratio_interval(parts, wholes, signers, SAMPLES)
    return {
        "value": round(float(parts.sum() / wholes.sum()), 3),
        "interval": [round(low, 3), round(high, 3)],
        "over": over,
    }


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    return {"median": np.median(values), "p95": np.percentile(values, 95), "highest": values.max()}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="PATH")
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="rendered videos with their truth")
    parser.add_argument("--signers", nargs="+", metavar="NAME", help="these alone (default: all)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that find landmarks")
    add_overrides(parser, "of StreamSettings")
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main)
