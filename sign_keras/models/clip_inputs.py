"""The front of every network of 3D convolutions: raw clips in, normalised clips out."""

from typing import Any

import keras
import numpy as np

from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import PixelStatistics

# Of R, G, B in [0, 1]; torchvision's video presets (torchvision/transforms/_presets.py, VideoClassification).
KINETICS = PixelStatistics(
    mean=(0.43216 * 255, 0.394666 * 255, 0.37645 * 255),
    standard_deviation=(0.22803 * 255, 0.22145 * 255, 0.216989 * 255),
)


def clip_inputs(sampling: SamplingSpec) -> dict[str, Any]:
    """The inputs: ``frames`` ``[B, T, H, W, 3]`` uint8, and ``frame_mask`` ``[B, T]`` bool where sampling pads."""
    shape = (sampling.num_frames, sampling.height, sampling.width, 3)
    inputs = {"frames": keras.Input(shape, dtype="uint8", name="frames")}
    if sampling.frame_rate is not None:
        inputs["frame_mask"] = keras.Input((sampling.num_frames,), dtype="bool", name="frame_mask")
    return inputs


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
