"""A causal model, frame by frame: what it remembers goes in and out with each frame.

A causal model is a chain of layers. A layer that remembers frames has ``initial_state(batch_size)``, a dictionary
of tensors, and ``step(inputs, state)``, which takes one frame ``[B, 1, ...]`` to what ``call`` gives for the last
frame of the clip so far, and to the new state. Keras's LSTM and GRU are stepped by their cells; layers that treat
each frame by itself are called as they are. Streamed logits equal those of the whole clip: of the frames so far
for isolated signs, and for sentences frame by frame.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from sign_keras.models.layers import FrameWise
from tfrecords_tools.command_line import UserError

State = dict[str, Any]
LOGITS, STATE = "logits", "state"
# What a stream's next frame may be called.
FRAME_INPUTS = ("keypoints", "frames")
# Layers that treat every frame by itself, in evaluation.
BY_FRAME = (
    FrameWise,
    keras.layers.Dense,
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Dropout,
    keras.layers.Activation,
)


def initial_state(model: keras.Model, batch_size: int = 1) -> Any:
    """What a causal model remembers before the first frame: ``[batch_size, S]`` float32 zeros.

    Raises:
        UserError: the model is not causal.
    """
    size = sum(math.prod(shape) for shape in _state_shapes(_chain(model)).values())
    return keras.ops.zeros((batch_size, size), "float32")


def build_step_model(model: keras.Model) -> keras.Model:
    """The model that takes a stream's next frame, with the weights of one that takes clips.

    Args:
        model: causal, from the table of architectures; built, with its weights.

    Returns:
        A model from the next frame, ``keypoints`` ``[B, 1, K, 3]`` or ``frames`` ``[B, 1, H, W, 3]`` as of the
        model, and ``state`` ``[B, S]`` to a dictionary of ``logits`` ``[B, V]`` of the frames so far (for sentences
        ``[B, 1, V + 1]``, of this frame), and of the new ``state``. All that layers remember is in this one tensor,
        so that an app has one array to keep.

    Raises:
        UserError: the model is not causal.
    """
    name = frame_input(model.input)
    frames = model.input[name]
    inputs = {
        name: keras.Input((1, *frames.shape[2:]), dtype=frames.dtype, name=name),
        STATE: keras.Input(initial_state(model).shape[1:], dtype="float32", name=STATE),
    }
    outputs = FrameStep(model, name="step")(inputs)
    return keras.Model(inputs, outputs, name=f"{model.name}_step")


def frame_input(names: Iterable[str]) -> str:
    """Which of a model's inputs the frames of a stream are."""
    return next(name for name in FRAME_INPUTS if name in names)


class FrameStep(keras.layers.Layer):
    """All layers of a causal model, for one frame. It is not saved by itself: it is made from a model that is.

    Args:
        model: see ``build_step_model``.
    """

    def __init__(self, model: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chain = _chain(model)
        self.shapes = _state_shapes(self.chain)
        self.built = True

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs and outputs of ``build_step_model``."""
        ends = list(itertools.accumulate(math.prod(shape) for shape in self.shapes.values()))
        # Keras splits nothing at no place.
        parts = keras.ops.split(inputs[STATE], ends[:-1], axis=1) if ends[1:] else [inputs[STATE]]
        remembered = {
            name: keras.ops.reshape(part, (-1, *shape))
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        features = inputs[frame_input(inputs)]
        for layer in self.chain:
            prefix = _state_name(layer, "")
            state = {name.removeprefix(prefix): remembered[name] for name in self.shapes if name.startswith(prefix)}
            features, new_state = _step(layer, features, state)
            remembered |= {prefix + key: value for key, value in new_state.items()}
        flat = [keras.ops.reshape(remembered[name], (-1, math.prod(shape))) for name, shape in self.shapes.items()]
        return {LOGITS: features, STATE: keras.ops.concatenate(flat, axis=1)}


def _state_shapes(chain: Sequence[keras.layers.Layer]) -> dict[str, tuple[int, ...]]:
    """What each layer remembers, without the batch, in the order of the one tensor of all of it."""
    return {
        _state_name(layer, key): tuple(value.shape[1:])
        for layer in chain
        for key, value in _initial_state(layer, 1).items()
    }


def _chain(model: keras.Model) -> list[keras.layers.Layer]:
    """A causal model's layers, from frames to logits.

    Raises:
        UserError: a layer is not causal.
    """
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    for layer in layers:
        _check_is_causal(layer, model.name)
    return layers


def _check_is_causal(layer: keras.layers.Layer, model_name: str) -> None:
    if getattr(layer, "is_causal", True) and (hasattr(layer, "step") or isinstance(layer, BY_FRAME)):
        return
    if isinstance(layer, keras.layers.LSTM | keras.layers.GRU) and not layer.go_backwards:
        return
    raise UserError(
        f"{model_name}: its layer {layer.name!r} looks at the whole clip, so no stream can go through it frame by "
        "frame; train a causal model, such as configs/keypoint_causal_conv.yaml"
    )


def _state_name(layer: keras.layers.Layer, key: str) -> str:
    return f"{layer.name}__{key}"


def _initial_state(layer: keras.layers.Layer, batch_size: int) -> State:
    if hasattr(layer, "step"):
        state: State = layer.initial_state(batch_size)
        return state
    if isinstance(layer, keras.layers.LSTM | keras.layers.GRU):
        zeros = layer.cell.get_initial_state(batch_size)
        return {f"state{index}": keras.ops.cast(value, "float32") for index, value in enumerate(zeros)}
    return {}


def _step(layer: keras.layers.Layer, inputs: Any, state: State) -> tuple[Any, State]:
    if hasattr(layer, "step"):
        outputs: tuple[Any, State] = layer.step(inputs, state)
        return outputs
    if isinstance(layer, keras.layers.LSTM | keras.layers.GRU):
        features, states = layer.cell(inputs[:, 0], [state[f"state{index}"] for index in range(len(state))])
        new_state = {f"state{index}": value for index, value in enumerate(states)}
        return features[:, None] if layer.return_sequences else features, new_state
    return layer(inputs), {}
