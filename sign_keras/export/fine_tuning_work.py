"""What goes to the process that fine-tunes a backbone, and what comes back. Light to import."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

HELD_OUT = 10  # one clip in so many is not learned from: the errors in reports are on it
MAX_HELD_OUT_FRAMES = 128

Weights = dict[str, list[np.ndarray]]  # by layer name, in Keras's order


@dataclass(frozen=True)
class FineTuningWork:
    """What to do.

    Attributes:
        method: ``qat`` or ``pruned``.
        network: function of ``keras.applications``.
        width_multiplier: of its channels.
        picture: height, width, 3.
        outputs: names of the layers whose outputs are to stay what they are.
        examples: a folder that ``representative.write_representative_clips`` wrote.
        steps: of Adam.
        batch_size: frames a step.
        learning_rate: at the first step; falls to nothing along a cosine.
        sparsity: of ``pruned``: share of weights that become zero.
        seed: of the order of frames.
    """

    method: str
    network: str
    width_multiplier: float
    picture: tuple[int, int, int]
    outputs: tuple[str, ...]
    examples: str
    steps: int
    batch_size: int
    learning_rate: float
    sparsity: float
    seed: int


@dataclass(frozen=True)
class FineTuned:
    """What came of it.

    Attributes:
        fault: why nothing did; empty where it did.
        weights: the new ones.
        error_before: of the rounded or pruned network against the unchanged one, on frames that it did not learn
            from: mean squared error over variance, mean over the outputs.
        error_after: the same once fine-tuned.
        zeros: share of zeros among the weights of 1x1 convolutions.
    """

    fault: str = ""
    weights: Weights = field(default_factory=dict)
    error_before: float = 0.0
    error_after: float = 0.0
    zeros: float = 0.0


def scaled(frames: np.ndarray) -> np.ndarray:
    """uint8 frames as MobileNetV2 takes them: float32 in [-1, 1]."""
    return frames.astype(np.float32) / np.float32(127.5) - 1


def frames_to_learn_from(examples: Path) -> np.ndarray:
    """Real frames ``[n, H, W, 3]`` uint8 of the clips in a folder of ``write_representative_clips``."""
    frames, masks = _clips(examples)
    learned = np.arange(len(frames)) % HELD_OUT != 0 if len(frames) > 1 else np.ones(1, bool)
    return frames[learned][masks[learned]]


def held_out_frames(examples: Path) -> np.ndarray:
    """Others, evenly over clips of their own (where there is more than one)."""
    frames, masks = (values[::HELD_OUT] for values in _clips(examples))
    real = frames[masks]
    return real[:: -(-len(real) // MAX_HELD_OUT_FRAMES)]


def _clips(examples: Path) -> tuple[np.ndarray, np.ndarray]:
    frames = np.load(examples / "frames.npy", mmap_mode="r")
    path = examples / "frame_mask.npy"
    return frames, np.load(path) if path.is_file() else np.ones(frames.shape[:2], bool)
