"""Streams of landmarks of somebody who does nothing, or whose right hand goes up and down, or from side to side."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sign_keras.inference.artefact import Artefact
from sign_keras.inference.info import FORMAT_VERSION, OUTPUT, ArtefactInfo
from tfrecords_tools.clips import ClipSpec, SamplingSpec
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

LAYOUT = MEDIAPIPE_HOLISTIC
RIGHT_HAND = LAYOUT.group_slices["right_hand"]
SHOULDER_WIDTH = 0.2  # frame widths
RATE = 25.0
GLOSSES = ("up", "aside")
AMPLITUDE, CYCLES = 0.1, 2.0  # of a movement: frame widths, a second
# Gloss and seconds, with rests between them.
SIGNED = (("", 0.8), ("up", 1.0), ("", 0.8), ("aside", 1.2), ("", 1.0))


def landmarks(x: float = 0.0, y: float = 0.0, hand: bool = True) -> np.ndarray:
    """``[543, 3]``: a person; the right hand is so far from where it rests, in sides of a square picture."""
    points = np.full((len(LAYOUT.names), 3), np.nan, np.float32)
    points[LAYOUT.group_slices["pose"]] = (0.5, 0.3, 0.0)
    points[LAYOUT.row("pose/left_shoulder"), :2] = 0.6, 0.4
    points[LAYOUT.row("pose/right_shoulder"), :2] = 0.4, 0.4
    for side in ("left", "right"):
        points[LAYOUT.row(f"pose/{side}_wrist"), :2] = np.nan
    if hand:
        points[RIGHT_HAND] = (0.4 + x, 0.7 + y, 0.0)
    return points


def stream(
    parts: Sequence[tuple[str, float]] = SIGNED, rate: float = RATE, start: float = 0.0
) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds and landmarks of each frame."""
    frame = 0
    for gloss, seconds in parts:
        count = round(seconds * rate)
        for place in range(count):
            way = AMPLITUDE * np.sin(2 * np.pi * CYCLES * place / rate)
            yield start + frame / rate, landmarks(x=way * (gloss == "aside"), y=way * (gloss == "up"))
            frame += 1


class Recogniser(Artefact):
    """Says whether the right hand went rather up and down or from side to side; not more than half sure of rests.

    Attributes:
        seen: the inputs of every look, in their order.
    """

    def __init__(
        self,
        input_name: str = "keypoints",
        threshold: float | None = None,
        frame_rate: float | None = None,
        **spec: Any,
    ) -> None:
        sampling = SamplingSpec(num_frames=8, height=32, width=32, frame_rate=frame_rate)
        super().__init__(
            ArtefactInfo(
                format_version=FORMAT_VERSION,
                name="toy",
                glosses=GLOSSES,
                clip_spec=ClipSpec(sampling=sampling, **spec),
                input_names=(input_name,),
                thresholds={} if threshold is None else {"sign": threshold},
                trained_on="nothing",
                records_source="none",
                model_card="",
                sign_keras_version="",
            )
        )
        self.seen: list[dict[str, np.ndarray]] = []

    def outputs(self, inputs: Any) -> dict[str, np.ndarray]:
        self.seen.append(dict(inputs))
        if "frames" in inputs:  # how bright
            level = inputs["frames"].mean(axis=(1, 2, 3, 4)) / 255
            return {OUTPUT: np.stack([level, 1 - level], axis=1).astype(np.float32) * 10}
        spread = np.nanstd(inputs["keypoints"][:, :, RIGHT_HAND.start, :2], axis=1)
        return {OUTPUT: (spread[:, ::-1] * 100).astype(np.float32)}

    @property
    def state_size(self) -> int:
        return 0

    def _step(self, inputs: Any) -> Any:
        raise AssertionError("it looks at clips")


class CausalRecogniser(Recogniser):
    """Takes streams frame by frame, too, and counts: one frame more sure of "up" with each.

    Attributes:
        steps: the frame of every step.
    """

    def __init__(self, input_name: str = "keypoints") -> None:
        super().__init__(input_name, frame_rate=10.0)
        self.steps: list[np.ndarray] = []

    @property
    def state_size(self) -> int:
        return 1

    def _step(self, inputs: Any) -> Any:
        self.steps.append(inputs[self.input_names[0]])
        state = inputs["state"] + 1
        return {OUTPUT: np.concatenate([state, 0 * state], axis=1), "state": state}
