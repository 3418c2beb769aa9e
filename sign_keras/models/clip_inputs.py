"""What a model is told of its clips, the inputs that it takes, and the normalisation of frames."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import PixelStatistics
from tfrecords_tools.keypoint_layout import KeypointLayout

# Of R, G, B in [0, 1]; torchvision's video presets (torchvision/transforms/_presets.py, VideoClassification).
KINETICS = PixelStatistics(
    mean=(0.43216 * 255, 0.394666 * 255, 0.37645 * 255),
    standard_deviation=(0.22803 * 255, 0.22145 * 255, 0.216989 * 255),
)


@dataclass(frozen=True)
class ClipInput:
    """What a builder knows of the clips that its model will take.

    Attributes:
        sampling: which frames, and of what size.
        pixel_statistics: of the records (``DatasetInfo.pixel_statistics``), for architectures that normalise by
            them.
        layout: of the records' keypoints, for architectures that take them.
    """

    sampling: SamplingSpec
    pixel_statistics: PixelStatistics | None = None
    layout: KeypointLayout | None = None


def clip_inputs(sampling: SamplingSpec) -> dict[str, Any]:
    """The inputs: ``frames`` ``[B, T, H, W, 3]`` uint8, and ``frame_mask`` ``[B, T]`` bool where sampling pads."""
    shape = (sampling.num_frames, sampling.height, sampling.width, 3)
    return {"frames": keras.Input(shape, dtype="uint8", name="frames"), **_mask_input(sampling)}


def keypoint_inputs(clip: ClipInput) -> tuple[dict[str, Any], KeypointLayout]:
    """The inputs of models that take keypoints, and what the keypoints are.

    Returns:
        ``keypoints`` ``[B, T, K, 3]`` float32, NaN where missing, and ``frame_mask`` as in ``clip_inputs``; and
        the layout of the K points.

    Raises:
        UserError: the records hold no keypoints.
    """
    if clip.layout is None:
        raise UserError(
            "model: takes keypoints, and the records hold none; convert the videos with --set "
            "keypoints=mediapipe_holistic, or choose an architecture that takes frames"
        )
    shape = (clip.sampling.num_frames, len(clip.layout.names), 3)
    keypoints = keras.Input(shape, dtype="float32", name="keypoints")
    return {"keypoints": keypoints, **_mask_input(clip.sampling)}, clip.layout


def _mask_input(sampling: SamplingSpec) -> dict[str, Any]:
    if sampling.frame_rate is None:
        return {}
    return {"frame_mask": keras.Input((sampling.num_frames,), dtype="bool", name="frame_mask")}


def normalized_clip(inputs: dict[str, Any], normalization: str, statistics: PixelStatistics | None) -> Any:
    """Clips of mean 0 and standard deviation 1; frames that the mask leaves out are 0, as beyond a clip's ends.

    Args:
        inputs: of ``clip_inputs``.
        normalization: ``dataset`` or ``kinetics``.
        statistics: the dataset's.

    Raises:
        UserError: ``dataset`` is asked for and has no statistics.
    """
    chosen = KINETICS if normalization == "kinetics" else statistics
    if chosen is None:
        raise UserError(
            "model.normalization=dataset: the records' dataset_info.json has no mean and standard deviation of "
            "pixels; set model.normalization=kinetics, or convert the videos with frames"
        )
    # A colour that never changes carries nothing: divided by 1 it stays 0.
    deviation = np.where(np.array(chosen.standard_deviation) > 0, chosen.standard_deviation, 1.0)
    clip = keras.layers.Rescaling(
        scale=(1 / deviation).tolist(),
        offset=(-np.array(chosen.mean) / deviation).tolist(),
        dtype="float32",
        name="normalization",
    )(inputs["frames"])
    if "frame_mask" not in inputs:
        return clip
    mask = keras.ops.cast(inputs["frame_mask"], "float32")
    return clip * keras.ops.reshape(mask, (-1, mask.shape[1], 1, 1, 1))
