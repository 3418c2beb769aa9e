"""What the stages of a model say beside its logits: kept in its graph, and given where somebody asks.

A model of the table of architectures has one output, its logits. ``Stages``, its last layer, passes them on and
takes the other tensors in as well: so all layers belong to the model, its weights' file has them all, and
``with_stages`` finds the tensors again.
"""

from collections.abc import Sequence
from typing import Any

import keras

STAGES = "stages"
# What evaluation and prediction use, and exports give; docs/continuous.md says what each is.
SHOWN = ("keyframe_indices", "frame_scores", "gloss_similarity", "frame_classes")


@keras.saving.register_keras_serializable(package="sign_keras")
class Stages(keras.layers.Layer):
    """Passes the first of its inputs on.

    Args:
        names: of its other inputs.
    """

    def __init__(self, names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**{"name": STAGES, "dtype": "float32", "autocast": False, **kwargs})
        self.names = tuple(names)
        self.supports_masking = True

    def compute_mask(self, inputs: Any, mask: Any | None = None) -> None:
        """None: which logits are real, ``ctc.labels.logit_frames`` says."""
        return None

    def call(self, inputs: Sequence[Any]) -> Any:
        """Logits, then a tensor for each name, to logits."""
        return inputs[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Of the logits."""
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "names": self.names}


def stage_tensors(model: keras.Model) -> dict[str, Any]:
    """The tensors of a model's stages by name; none where it has no ``Stages``."""
    layers = [layer for layer in model.layers if isinstance(layer, Stages)]
    if not layers or not layers[0].names:
        return {}
    return dict(zip(layers[0].names, layers[0].input[1:], strict=True))


def with_stages(model: keras.Model, names: Sequence[str] | None = None) -> keras.Model:
    """The same model with two outputs: logits, and a dictionary of its stages' tensors.

    Args:
        model: from the table of architectures.
        names: which, as far as it has them; None: all.
    """
    tensors = stage_tensors(model)
    chosen = {name: tensor for name, tensor in tensors.items() if names is None or name in names}
    # Logits first: layers are then found, and their weights saved, in the order that the model itself has.
    return keras.Model(model._inputs_struct, (model.output, chosen), name=model.name)
