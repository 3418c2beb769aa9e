"""Clips that show no sign, made up from records of signs.

What is made is a record: frames in another order, or hands taken away. Everything that follows, from the choice of
frames to augmentation, is then the same for it as for any other.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from sign_keras.config import NonSignKind, NoSignConfig
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import KeypointLayout
from tfrecords_tools.label_map import LabelMap

Inputs = dict[str, tf.Tensor]

STRETCHED = 0.2  # of a clip, at its beginning or end: before and after the sign itself
AROUND = 0.3  # of a clip, at either end: what lies between one sign's stroke and the next
# Standard deviation of what is added to keypoints that are held, in frame widths: they tremble on a resting hand.
TREMBLE = 0.002
OF_FRAMES = ("jpegs", "keypoints", "presence", "visibility")


def model_label_map(label_map: LabelMap, config: NoSignConfig | None) -> LabelMap:
    """The label map of a model: the records' own, and one gloss more for no sign unless they have it."""
    if config is None or config.gloss in label_map:
        return label_map
    return LabelMap((*label_map, config.gloss))


def feasible_kinds(
    config: NoSignConfig, input_names: Sequence[str], layout: KeypointLayout | None, num_frames: int
) -> tuple[NonSignKind, ...]:
    """The kinds of a configuration that can be made for a model's inputs.

    Raises:
        UserError: there is none, or the model sees a single frame.
    """
    if num_frames == 1:
        raise UserError(
            "data.no_sign: the model sees one frame (sampling.num_frames=1), and one frame of a sign is no "
            "non-sign; give records of a gloss for no sign, and share: 0"
        )
    kinds = tuple(kind for kind in config.kinds if kind != "hands_missing" or _can_lose_hands(input_names, layout))
    if not kinds:
        raise UserError(
            "data.no_sign.kinds: hands_missing needs a model of keypoints alone, and hands among the records' "
            "keypoints; name another kind"
        )
    return kinds


def _can_lose_hands(input_names: Sequence[str], layout: KeypointLayout | None) -> bool:
    return "frames" not in input_names and layout is not None and bool(_hand_groups(layout))


def _hand_groups(layout: KeypointLayout) -> list[str]:
    return [group for group in layout.group_slices if "hand" in group]


def make_non_sign(
    parsed: Inputs,
    kinds: Sequence[NonSignKind],
    kind: tf.Tensor,
    layout: KeypointLayout | None,
    seed: tf.Tensor,
) -> Inputs:
    """Makes a record of no sign out of one of a sign; as long, at the same times.

    Args:
        parsed: from ``parsing.parse_record``.
        kinds: of ``feasible_kinds``.
        kind: int32 scalar, which of them.
        layout: of the keypoints.
        seed: ``[2]`` int64.
    """
    number = tf.shape(parsed["timestamps"])[0]
    places: dict[NonSignKind, Callable[[], tf.Tensor]] = {
        "hold": lambda: _hold(number, seed),
        "start": lambda: _stretch(number, number, _part(number, STRETCHED)),
        "end": lambda: _from_end(number, _stretch(number, number, _part(number, STRETCHED))),
        "between": lambda: _between(number),
        "hands_missing": lambda: tf.range(number, dtype=tf.float32),
    }
    chosen = tf.switch_case(kind, [places[name] for name in kinds])
    made = dict(parsed)
    nearest = tf.cast(tf.round(chosen), tf.int32)
    for name in OF_FRAMES:
        if name in parsed and name != "keypoints":
            # Records of keypoints alone have no frames, and so nothing to choose from.
            made[name] = tf.gather(parsed[name], nearest[: tf.shape(parsed[name])[0]])
    if "keypoints" in parsed and layout is not None:
        keypoints = _between_frames(parsed["keypoints"], chosen)
        noise = tf.random.stateless_normal(tf.shape(keypoints), seed, stddev=TREMBLE)
        keypoints += tf.where(_is(kind, kinds, "hold"), noise, 0.0)
        made["keypoints"] = tf.where(
            _is(kind, kinds, "hands_missing"), _without_hands(keypoints, layout), keypoints
        )
    return made


def _is(kind: tf.Tensor, kinds: Sequence[NonSignKind], name: NonSignKind) -> tf.Tensor:
    return tf.constant(False) if name not in kinds else tf.equal(kind, kinds.index(name))


def _part(number: tf.Tensor, share: float) -> tf.Tensor:
    return tf.maximum(share * tf.cast(number, tf.float32), 1.0)


def _stretch(number: tf.Tensor, count: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """``[count]`` places, evenly from the first frame to the last of the first ``length``."""
    last = tf.minimum(length - 1, tf.cast(number - 1, tf.float32))
    return tf.range(tf.cast(count, tf.float32)) * last / tf.maximum(tf.cast(count - 1, tf.float32), 1.0)


def _from_end(number: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """The same places counted from the last frame backwards; time still runs forwards."""
    return tf.cast(number - 1, tf.float32) - tf.reverse(places, [0])


def _between(number: tf.Tensor) -> tf.Tensor:
    half = number // 2
    length = _part(number, AROUND)
    return tf.concat(
        [_from_end(number, _stretch(number, half, length)), _stretch(number, number - half, length)], axis=0
    )


def _hold(number: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A random frame, or one beside it: the camera's noise goes on, as in front of somebody who stands still."""
    first, second = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    centre = tf.random.stateless_uniform([], first, 0, number, dtype=tf.int32)
    around = centre + tf.random.stateless_uniform([number], second, -1, 2, dtype=tf.int32)
    return tf.cast(tf.clip_by_value(around, 0, number - 1), tf.float32)


def _between_frames(keypoints: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Keypoints at fractional places, linearly between the frames beside; missing where they are in either."""
    below = tf.floor(places)
    share = (places - below)[:, tf.newaxis, tf.newaxis]
    first = tf.gather(keypoints, tf.cast(below, tf.int32))
    second = tf.gather(keypoints, tf.cast(tf.math.ceil(places), tf.int32))
    return first + share * (second - first)


def _without_hands(keypoints: tf.Tensor, layout: KeypointLayout) -> tf.Tensor:
    rows = [False] * len(layout.names)
    for group in _hand_groups(layout):
        part = layout.group_slices[group]
        rows[part] = [True] * (part.stop - part.start)
    return tf.where(tf.constant(rows)[:, tf.newaxis], float("nan"), keypoints)
