"""Sentences out of frames in four stages: encoder and alignment, keyframes, recurrent layers, CTC.

1. A backbone on every frame, its map pooled to a small grid and projected; how much each frame looks like each
   gloss.
2. Scores of frames by how their features change; the best are kept.
3. LSTMs both ways over what is kept; which gloss each frame belongs to.
4. CTC logits.

Stages 1 to 3 say more than logits: ``models.stages`` names their tensors, ``training.stage_losses`` learns from
them. ``docs/continuous.md`` has the formulas.
"""

from typing import Any

import keras
from keras import ops

from sign_keras.config import AlignmentConfig, FourStageCTCConfig
from sign_keras.models.backbones import frame_backbone
from sign_keras.models.clip_inputs import ClipInput, clip_inputs
from sign_keras.models.gloss_alignment import GlossTable, UnitLength
from sign_keras.models.heads import sentence_head
from sign_keras.models.keyframes import KeyframeSelection, RandomSelection
from sign_keras.models.layers import FrameWise, Motion
from sign_keras.models.map_backbone import with_map
from sign_keras.models.motion_scorer import MotionScorer
from sign_keras.models.recurrent import recurrent_layers
from sign_keras.models.stages import Stages
from tfrecords_tools.command_line import UserError

GLOSS_TABLE = "text"


def build_four_stage_ctc(config: FourStageCTCConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds all four stages.

    Args:
        config: see ``FourStageCTCConfig``.
        clip: the clips it takes.
        num_glosses: ``V``.

    Returns:
        A model from the inputs of ``clip_inputs`` to float32 logits ``[B, K, V + 1]``, blank first, K being
        ``ceil(ratio T)``. How many of them are real, ``ctc.labels.logit_frames`` says.

    Raises:
        UserError: the backbone's weights cannot be had, or there is no second frame to select from.
    """
    if clip.sampling.num_frames < 2 and config.selection.method == "motion":
        raise UserError("model.selection.method=motion: sampling.num_frames must be at least 2; use none")
    backbone = with_map(frame_backbone(config, clip.sampling), config.grid)
    inputs = clip_inputs(clip.sampling)
    mask = inputs.get("frame_mask")
    tensors: dict[str, Any] = {}

    # Stage 1: [B, T, G, G, width]
    backbone_maps = FrameWise(backbone, name="frame_maps")(inputs["frames"])
    maps = _projected(backbone_maps, config, mask, "projection")
    features = maps
    if config.motion_lags:
        # Not for the scorer: how movement changes is no measure of movement.
        moved = Motion(config.motion_lags, name="motion")(backbone_maps)
        features = ops.concatenate([maps, _projected(moved, config, mask, "motion_projection")], axis=-1)
    if config.alignment is not None:
        tensors |= _aligned(features, config.alignment, num_glosses)

    # Stage 2: [B, K, G G width], or twice as many with movement
    features = ops.reshape(features, (-1, maps.shape[1], config.grid**2 * features.shape[-1]))
    if config.selection.method != "none":
        selected = _selected(features, maps, config, mask, tensors)
        features, mask = selected.pop("selected"), selected.pop("keyframe_mask")
        tensors |= selected

    # Stage 3: [B, K, 2 units]
    features = recurrent_layers(features, config.lstm_units, config.lstm_dropout, mask)
    if config.classification != "none":
        classes = keras.layers.Dropout(config.dropout, name="class_dropout")(features)
        tensors["frame_classes"] = keras.layers.Dense(num_glosses, dtype="float32", name="frame_classes")(classes)

    # Stage 4
    logits = sentence_head(features, num_glosses, config.dropout)
    logits = Stages(tuple(tensors))([logits, *tensors.values()])
    return keras.Model(inputs, logits, name="four_stage_ctc")


def _projected(maps: Any, config: FourStageCTCConfig, mask: Any | None, name: str) -> Any:
    """``[B, T, G, G, C]`` to ``width`` channels, normalised over real frames, none below 0."""
    maps = keras.layers.Dense(config.width, use_bias=False, name=name)(maps)
    maps = keras.layers.BatchNormalization(momentum=config.batch_norm_momentum, name=f"{name}_norm")(
        maps, mask=_of_cells(mask, config.grid)
    )
    return ops.relu(maps)  # an operation: unlike a layer, it does not hand the mask on


def _aligned(maps: Any, config: AlignmentConfig, num_glosses: int) -> dict[str, Any]:
    """``visual`` ``[B, T, W]`` and ``gloss_vectors`` ``[V, W]`` of length 1, and their cosines ``gloss_similarity``
    ``[B, T, V]``.
    """
    visual = keras.layers.Dense(config.width, name="visual_projection")(ops.mean(maps, axis=(2, 3)))
    visual = UnitLength(name="visual")(visual)
    glosses = GlossTable(num_glosses, config.text_width, name=GLOSS_TABLE)(visual)
    glosses = UnitLength(name="glosses")(keras.layers.Dense(config.width, name="text_projection")(glosses))
    similarity = ops.matmul(visual, ops.transpose(glosses))
    return {"visual": visual, "gloss_vectors": glosses, "gloss_similarity": similarity}


def _selected(
    features: Any, maps: Any, config: FourStageCTCConfig, mask: Any | None, tensors: dict[str, Any]
) -> dict[str, Any]:
    selection = config.selection
    if selection.method == "random":
        random: dict[str, Any] = RandomSelection(selection.ratio, name="selection")(features, mask=mask)
        return random
    changes = MotionScorer(selection.units, selection.start, name="scorer")(maps, mask=mask)
    tensors["change_logits"] = changes
    chosen: dict[str, Any] = KeyframeSelection(selection.ratio, name="selection")(features, changes, mask=mask)
    return chosen


def _of_cells(mask: Any | None, grid: int) -> Any | None:
    """``[B, T]`` bool to that of every cell, ``[B, T, G, G]``."""
    if mask is None:
        return None
    return ops.repeat(ops.repeat(mask[:, :, None, None], grid, axis=2), grid, axis=3)
