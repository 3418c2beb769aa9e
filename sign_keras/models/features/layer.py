"""The input layer of models that take keypoints: landmarks as they come, features out.

In order: the points that are looked at (``selection``), where the signer is and how large
(``reference``), left-handers shown as right-handers (``handedness``), points not found
(``filling``), differences over time, and hands on their own (``hands``).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sign_keras.config.keypoints import FeaturesConfig
from sign_keras.models.features import handedness
from sign_keras.models.features.filling import hold, interpolate
from sign_keras.models.features.hands import (
    NUM_ANGLES,
    NUM_HAND_POINTS,
    PALM,
    from_wrist,
    joint_cosines,
    one_over_size,
    palm_sums,
)
from sign_keras.models.features.placing import depths_within_groups, either, mirrored_where, placed, widened
from sign_keras.models.features.reference import center_of, pair_sums, point_sums, scale_of
from sign_keras.models.features.rows import KeypointRows
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import KeypointLayout

FARTHEST = 1e4  # frame widths; what is farther, infinite or no number was not found
LARGEST_FEATURE = 100.0  # shoulder widths and the like; float16 would hold 65504
# Running means of a stream go over about so many frames, so that they follow a new signer in the end.
LONGEST_MEMORY = 1024.0

State = dict[str, Any]


@keras.saving.register_keras_serializable(package="sign_keras")
class KeypointFeatures(keras.layers.Layer):
    """Features of keypoints: ``[B, T, K, 2 or more]`` of any float type to ``[B, T, F]`` float32.

    Coordinates are x, y (and z) in frame widths and heights; NaN, infinite and absurd ones (beyond ``FARTHEST``)
    are points not found. ``mask`` ``[B, T]`` bool is true for real frames; the others' content is never looked at,
    and their features are 0. Features are finite whatever comes, and within ``LARGEST_FEATURE`` of 0. T is static;
    time and memory are proportional to it. Always float32 inside, whatever the precision policy.

    A frame's features, in this order: C coordinates of each point; for each lag their differences, 0 where the
    point or its predecessor is unknown; for each hand 20 points seen from its wrist; for each hand 15 cosines; for
    each group whether any of its points was found, 1 or 0.

    With ``features.causal``, ``step`` over a clip's frames gives what ``call`` gives for the clip (beyond
    ``LONGEST_MEMORY`` frames, means of a stream begin to forget, those of a clip do not).

    Args:
        features: a ``FeaturesConfig`` or its values.
        layout: of the K points: a ``KeypointLayout`` or its ``name``, ``points`` and ``mirror_pairs``.

    Raises:
        UserError: the layout lacks points that the configuration needs.
    """

    def __init__(
        self, features: FeaturesConfig | dict[str, Any], layout: KeypointLayout | dict[str, Any], **kwargs: Any
    ) -> None:
        # Not cast to a half-precision policy's type: landmarks need their digits.
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})
        self.features = FeaturesConfig.model_validate(features)
        self.layout = layout if isinstance(layout, KeypointLayout) else KeypointLayout.from_names(**layout)
        self.supports_masking = True
        self._rows = KeypointRows(self.features, self.layout)
        self._depth = len(self.features.coordinates)

    @property
    def num_features(self) -> int:
        """``F``."""
        rows, num_hands = self._rows, len(self._rows.hands)
        coordinates = len(rows.chosen) * self._depth * (1 + len(self.features.differences))
        relative = num_hands * (NUM_HAND_POINTS - 1) * self._depth if self.features.hand_relative else 0
        angles = num_hands * NUM_ANGLES if self.features.angles else 0
        return coordinates + relative + angles + (len(rows.groups) if self.features.presence else 0)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks the shape.

        Raises:
            UserError: it is not that of clips of keypoints in the layout.
        """
        num_points = len(self.layout.names)
        if len(input_shape) != 4 or input_shape[1] is None:
            raise UserError(
                f"keypoints of shape {tuple(input_shape)}: expected [batch, frames, {num_points}, {self._depth}] "
                "with a fixed number of frames"
            )
        if input_shape[2] != num_points:
            raise UserError(
                f"keypoints of {input_shape[2]} points: the keypoint layout {self.layout.name!r} has {num_points}; "
                "use the layout that the keypoints were made with"
            )
        if (input_shape[3] or 0) < self._depth:
            raise UserError(
                f"keypoints of {input_shape[3]} coordinates: features.coordinates={self.features.coordinates} "
                f"needs {self._depth}"
            )
        self.built = True

    def call(self, keypoints: Any, mask: Any | None = None) -> Any:
        """Features of whole clips, ``[B, T, F]``."""
        outputs, _ = self._advance(keypoints, mask, self._state(ops.shape(keypoints)[0]))
        return outputs

    def initial_state(self, batch_size: int) -> State:
        """What is known before a stream's first frame: float32 zeros by name, each ``[batch_size, ...]``.

        Raises:
            UserError: the features are not causal.
        """
        if not self.features.causal:
            raise UserError("features.causal=false: these features need whole clips; set features.causal=true")
        return self._state(batch_size)

    def step(self, inputs: Any, state: State) -> tuple[Any, State]:
        """One frame of a stream, or several: ``[B, 1, K, C]`` to ``[B, 1, F]`` and the state after it."""
        return self._advance(inputs, None, state)

    def _state(self, batch_size: Any) -> State:
        """Zeros for what goes from frame to frame, and nothing else."""
        rows, config = self._rows, self.features
        shapes: dict[str, tuple[int, ...]] = {}
        if config.causal and rows.num_sums:
            shapes["sums"] = (rows.num_sums,)
        if config.canonical_hand:
            shapes["wrists"] = (1, rows.num_wrists, 3)
            if config.causal:
                shapes["mirrored"] = (1, 1)
        if config.missing == "hold":
            shapes["held"] = (1, len(rows.chosen), self._depth + 1)
        if config.differences:
            shapes["previous"] = (max(config.differences), len(rows.chosen), self._depth + 1)
        return {name: ops.zeros((batch_size, *shape), "float32") for name, shape in shapes.items()}

    def _advance(self, keypoints: Any, mask: Any | None, state: State) -> tuple[Any, State]:
        """Features of the frames that follow a state, and the state after them."""
        rows, config, new_state = self._rows, self.features, dict(state)
        tracks = self._tracks(keypoints, mask)
        totals = self._totals(tracks, mask, state, new_state)
        center = center_of(config.center, totals, rows.pairs)
        scale = scale_of(config.scale, center, totals, rows.pairs)
        one_by_size = one_over_size(totals["palms"]) if "palms" in totals else None
        points = tracks[:, :, rows.points]
        if config.coordinates == "xyz":
            points = depths_within_groups(points, rows.point_groups)
        if config.canonical_hand:
            mirrored = self._mirrored(totals["evidence"], state, new_state)
            points = self._as_right_handed(points, mirrored, center, scale)
            if one_by_size is not None:
                one_by_size = either(mirrored, ops.flip(one_by_size, axis=-1), one_by_size)
        else:
            points = placed(points, center, scale)
        found = points[..., -1]
        if config.missing == "hold":
            points = hold(points, state["held"])
            new_state["held"] = points[:, -1:]
        elif config.missing == "interpolate":
            points = interpolate(points)
        blocks = [points[..., :-1], *self._differences(points, state, new_state)]
        if rows.hands:
            blocks += self._hands(points, scale, one_by_size)
        blocks = [ops.reshape(block, (-1, block.shape[1], int(np.prod(block.shape[2:])))) for block in blocks]
        if config.presence:
            blocks += [ops.max(found[:, :, group], axis=-1, keepdims=True) for group in rows.groups]
        outputs = ops.clip(ops.concatenate(blocks, axis=-1), -LARGEST_FEATURE, LARGEST_FEATURE)
        if mask is not None:
            outputs = outputs * ops.cast(mask, "float32")[..., None]
        return outputs, new_state

    def _tracks(self, keypoints: Any, mask: Any | None) -> Any:
        """The rows that are needed, ``[B, T, R, C + 1]``: coordinates, zeros where unknown; whether known."""
        fetched = ops.take(keypoints, np.array(self._rows.fetched), axis=2)[..., : self._depth]
        fetched = ops.cast(fetched, "float32")
        sound = ops.abs(fetched) <= FARTHEST  # false for what is no number
        known = ops.min(ops.cast(sound, "float32"), axis=-1, keepdims=True)
        if mask is not None:
            known = known * ops.cast(mask, "float32")[..., None, None]
        places = ops.where(sound, fetched, 0.0)
        if self.features.aspect != 1:
            aspects = [self.features.aspect, 1.0, self.features.aspect][: self._depth]
            places = places * ops.convert_to_tensor(aspects, "float32")
        return ops.concatenate([places * known, known], axis=-1)

    def _totals(self, tracks: Any, mask: Any | None, state: State, new_state: State) -> dict[str, Any]:
        """Sums over the clip's frames (``[B, 1, ...]``), or over those so far, of what each frame shows."""
        rows = self._rows
        sums: dict[str, Any] = {}
        if rows.pairs:
            sums["pairs"] = pair_sums(tracks[:, :, rows.pair_lefts], tracks[:, :, rows.pair_rights])
        if rows.wants_reference:
            # Mirror twins count too: a clip and its mirror image then have the same centre.
            sums["points"] = point_sums(tracks[:, :, rows.points])
        if rows.num_palms:
            palms = tracks[:, :, rows.palms]
            palms = ops.reshape(palms, (-1, tracks.shape[1], rows.num_palms, len(PALM), self._depth + 1))
            sums["palms"] = palm_sums(palms)
        if self.features.canonical_hand:
            wrists = tracks[:, :, rows.wrists]
            wrists = ops.concatenate([wrists[..., :2], wrists[..., -1:]], axis=-1)
            sums["evidence"] = handedness.evidence(
                wrists, state["wrists"], rows.wrists_of_hands, rows.wrists_of_pose
            )
            new_state["wrists"] = wrists[:, -1:]
        if not sums:
            return {}
        joined = ops.concatenate(list(sums.values()), axis=-1)
        if self.features.causal:
            frames = ops.ones_like(joined[..., :1]) if mask is None else ops.cast(mask, "float32")[..., None]
            joined = ops.concatenate([joined, frames], axis=-1)
            joined = state["sums"][:, None] + ops.cumsum(joined, axis=1)
            last = joined[:, -1]
            new_state["sums"] = last * ops.minimum(LONGEST_MEMORY / ops.maximum(last[:, -1:], 1.0), 1.0)
        else:
            joined = ops.sum(joined, axis=1, keepdims=True)
        totals, start = {}, 0
        for name, values in sums.items():
            totals[name] = joined[..., start : start + values.shape[-1]]
            start += values.shape[-1]
        return totals

    def _mirrored(self, totals: Any, state: State, new_state: State) -> Any:
        """1 where the left hand is the active one, else 0: ``[B, t, 1]``."""
        lead = handedness.lead(totals)
        if not self.features.causal:
            return ops.cast(lead < 0, "float32")
        mirrored = handedness.mirrored_so_far(lead, state["mirrored"])
        new_state["mirrored"] = mirrored[:, -1:]
        return mirrored

    def _as_right_handed(self, points: Any, mirrored: Any, center: Any | None, scale: Any | None) -> Any:
        """The chosen points placed, and mirrored where the left hand is the active one."""
        # Pictures that are not centred are mirrored about their middle, and moved back after that.
        middle = ops.convert_to_tensor([[[0.5 * self.features.aspect, 0.0]]], "float32")
        points = placed(points, middle if center is None else center, scale)
        points = mirrored_where(mirrored, points, self._rows.mirror)[:, :, : len(self._rows.chosen)]
        if center is None:
            points = placed(points, -middle if scale is None else -middle / scale, None)
        return points

    def _differences(self, points: Any, state: State, new_state: State) -> list[Any]:
        """For each lag, ``[B, T, P, C]``."""
        if not self.features.differences:
            return []
        longest, num_frames = max(self.features.differences), points.shape[1]
        history = ops.concatenate([state["previous"], points], axis=1)
        new_state["previous"] = history[:, -longest:]
        blocks = []
        for lag in self.features.differences:
            before = history[:, longest - lag : longest - lag + num_frames]
            known = points[..., -1:] * before[..., -1:]
            blocks.append((points[..., :-1] - before[..., :-1]) * known)
        return blocks

    def _hands(self, points: Any, scale: Any | None, one_by_size: Any | None) -> list[Any]:
        """Hands from their wrists ``[B, T, h, 20, C]``, angles ``[B, T, h, 15]``, as they are asked for."""
        rows, blocks = self._rows, []
        hands = ops.take(points, np.concatenate(rows.hands), axis=2)
        hands = ops.reshape(hands, (-1, points.shape[1], len(rows.hands), NUM_HAND_POINTS, self._depth + 1))
        back = None if scale is None else widened(scale, self._depth, 1.0)[:, :, :, None, : self._depth]
        if self.features.hand_relative and one_by_size is not None:
            unit = one_by_size[..., rows.hand_sizes][..., None, None]
            blocks.append(from_wrist(hands, unit if back is None else unit * back)[..., 1:, :])
        if self.features.angles:
            blocks.append(joint_cosines(hands, back if self.features.scale == "points" else None))
        return blocks

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """``[B, T, F]``."""
        return (*input_shape[:2], self.num_features)

    def compute_output_spec(self, keypoints: Any, mask: Any | None = None) -> keras.KerasTensor:
        """Float32 whatever the inputs' type."""
        return keras.KerasTensor(self.compute_output_shape(keypoints.shape), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, as plain values."""
        return {
            **super().get_config(),
            "features": self.features.model_dump(mode="json"),
            "layout": {
                "name": self.layout.name,
                "points": list(self.layout.names),
                "mirror_pairs": [list(pair) for pair in self.layout.mirror_pairs],
            },
        }
