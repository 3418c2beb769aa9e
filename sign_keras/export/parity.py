"""The parity gate: an export answers as the run does, on golden clips, or is not kept.

*Golden clips* are real ones of the validation split where the records are at hand, else noise, black and white.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from sign_keras.calibration import softmax
from sign_keras.ctc.labels import BLANK
from sign_keras.inference.artefact import Artefact
from sign_keras.models.streaming import frame_input
from tfrecords_tools.command_line import UserError
from tfrecords_tools.settings import Settings

if TYPE_CHECKING:
    from sign_keras.data.dataset import Records

NUM_GOLDEN_CLIPS = 8
# Frame by frame, a clip costs as many calls as it has frames.
NUM_STREAMED_CLIPS = 2
# Latency: median of at most this many calls, in at most this time.
LATENCY_CALLS, LATENCY_SECONDS = 30, 1.5


@dataclass(frozen=True)
class GoldenClips:
    """Clips that exports are compared on.

    Attributes:
        origin: what they are, for reports.
        inputs: the model's inputs, ``[N, T, ...]`` each.
    """

    origin: str
    inputs: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def first(self) -> dict[str, np.ndarray]:
        """A batch of one."""
        return {name: values[:1] for name, values in self.inputs.items()}


class Parity(Settings):
    """How an export compares with its run.

    Attributes:
        golden_clips: what it was compared on.
        num_clips: how many.
        max_probability_difference: the largest over all clips and glosses; of sentences, over their frames too.
        top1_agreement: see ``top1_agreement``.
    """

    golden_clips: str
    num_clips: int
    max_probability_difference: float
    top1_agreement: float


def golden_clips(model: keras.Model, records: "Records | None") -> GoldenClips:
    """Chooses the clips: real ones where ``records`` has some for validation.

    Args:
        model: whose inputs they are.
        records: opened with the model's sampling and inputs.
    """
    if records is not None and records.num_clips("validation"):
        batches = records.evaluation_batches("validation", NUM_GOLDEN_CLIPS)
        inputs = next(batches.as_numpy_iterator())[0]
        return GoldenClips(f"validation clips of {records.info.name}", inputs)
    shapes = {tensor.name: (NUM_GOLDEN_CLIPS, *tensor.shape[1:]) for tensor in model.inputs}
    dtypes = {tensor.name: np.dtype(tensor.dtype) for tensor in model.inputs}
    return GoldenClips(
        "noise, black and white", {name: _synthetic(shape, dtypes[name]) for name, shape in shapes.items()}
    )


def _synthetic(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    rng = np.random.default_rng(0)
    if dtype.kind == "b":  # a mask: clips of every length from one frame on
        num_real = np.linspace(1, shape[1], shape[0]).astype(int)
        return np.arange(shape[1]) < num_real[:, None]
    if dtype != np.uint8:
        return rng.random(shape, np.float32).astype(dtype)
    clips = rng.integers(0, 256, shape, np.uint8)
    clips[-2], clips[-1] = 0, 255
    return clips


def compare(expected: np.ndarray, exported: Artefact, golden: GoldenClips) -> Parity:
    """Runs the golden clips through an export.

    Args:
        expected: the run's probabilities: ``[N, V]``, or ``[N, T', V + 1]``.
        exported: what to compare.
        golden: the clips.
    """
    return _parity(expected, exported.probabilities(golden.inputs), len(golden), golden.origin, exported.task)


def compare_streamed(expected: np.ndarray, exported: Artefact, golden: GoldenClips) -> Parity:
    """Runs golden clips through an export that streams, frame by frame.

    After its last frame a clip has its answer; of a sentence, each frame has its own.

    Args:
        expected: the run's probabilities of whole clips, as for ``compare``.
        exported: what to compare.
        golden: the clips; of many, the first few.
    """
    clips = range(min(len(golden), NUM_STREAMED_CLIPS))
    streamed = [_stream(exported, golden, clip) for clip in clips]
    if exported.task == "isolated":
        wanted, logits = expected[: len(clips)], np.concatenate([frames[-1] for frames in streamed])
    else:
        wanted = np.concatenate([expected[clip, : len(streamed[clip])] for clip in clips])
        logits = np.concatenate([frames[:, 0] for frames in streamed]).reshape(wanted.shape)
    return _parity(wanted, softmax(logits, exported.temperature), len(clips), golden.origin, exported.task)


def _stream(exported: Artefact, golden: GoldenClips, clip: int) -> np.ndarray:
    """Logits after each real frame of a clip: ``[frames, 1, V]``, of a sentence ``[frames, 1, 1, V + 1]``."""
    frames = golden.inputs[frame_input(golden.inputs)][clip : clip + 1]
    state, logits = exported.initial_state(), []
    for frame in np.flatnonzero(golden.inputs["frame_mask"][clip]):
        answer, state = exported.step(frames[:, frame : frame + 1], state)
        logits.append(answer)
    return np.stack(logits)


def top1_agreement(expected: np.ndarray, found: np.ndarray, task: str) -> float:
    """Share of clips that two models call the same; of sentences, of the frames that either calls a gloss.

    Most frames of sentences are the blank's, padded ones among them: there a file that reads nothing agrees, too.

    Args:
        expected: labels of one model: ``[N]``, of sentences ``[N, T']`` or ``[frames]``.
        found: of the other, as many.
        task: ``isolated`` or ``continuous``.
    """
    counted = np.ones(expected.shape, bool) if task == "isolated" else (expected != BLANK) | (found != BLANK)
    return float((found == expected)[counted].mean()) if counted.any() else 1.0


def _parity(expected: np.ndarray, found: np.ndarray, num_clips: int, origin: str, task: str) -> Parity:
    return Parity(
        golden_clips=origin,
        num_clips=num_clips,
        max_probability_difference=float(np.abs(found - expected).max()),
        top1_agreement=top1_agreement(expected.argmax(axis=-1), found.argmax(axis=-1), task),
    )


def check(parity: Parity, limit: float | None, what: str) -> None:
    """Lets an export pass.

    Raises:
        UserError: it differs by more than ``limit``, where there is one, or its answers are no numbers.
    """
    if limit is None:
        limit = float("inf")
    if not parity.max_probability_difference <= limit:  # so written that NaN does not pass
        raise UserError(
            f"{what}: not written: on {parity.num_clips} clips ({parity.golden_clips}) its probabilities differ "
            f"from the run's by up to {parity.max_probability_difference:.2g}, more than "
            f"export.max_probability_difference={limit:g}; {parity.top1_agreement:.0%} of the top answers agree"
        )


def latency_ms(artefact: Artefact, golden: GoldenClips) -> float:
    """Median milliseconds for one clip through the model alone."""
    clip = golden.first()
    return _median_ms(lambda: artefact.logits(clip))


def latency_by_length_ms(artefact: Artefact, golden: GoldenClips) -> dict[str, float]:
    """``latency_ms`` by the number of real frames: a quarter, half and all of those that the model takes."""
    clip = golden.first()
    places = np.arange(clip["frame_mask"].shape[1])
    found = {}
    for num_frames in sorted({max(1, len(places) // parts) for parts in (4, 2, 1)}):
        shorter = clip | {"frame_mask": (places < num_frames)[np.newaxis]}
        found[str(num_frames)] = _median_ms(functools.partial(artefact.logits, shorter))
    return found


def step_latency_ms(artefact: Artefact, golden: GoldenClips) -> float:
    """Median milliseconds for one frame of a stream through the model alone."""
    frame, state = golden.first()[frame_input(golden.inputs)][:, :1], artefact.initial_state()
    return _median_ms(lambda: artefact.step(frame, state))


def _median_ms(call: Callable[[], object]) -> float:
    call()
    durations: list[float] = []
    while len(durations) < LATENCY_CALLS and sum(durations) < LATENCY_SECONDS:
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return round(float(np.median(durations)) * 1e3, 3)
