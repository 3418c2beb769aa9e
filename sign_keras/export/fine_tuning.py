"""Frame backbones fine-tuned for a file, and put back as they were.

``qat`` (quantization-aware training) has the weights learn to give in 8 bits what they gave in float32; ``pruned``
has a share of them become zero. Only MobileNetV2 is: tensorflow-model-optimization needs the same network in
TensorFlow's earlier Keras (``legacy_keras``). All other layers stay what they are.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from loky.process_executor import BrokenProcessPool

from sign_keras.config import BackboneSettings
from sign_keras.export.conversion import elsewhere, fine_tune_elsewhere
from sign_keras.export.fine_tuning_work import FineTuned, FineTuningWork, Weights, held_out_frames, scaled
from tfrecords_tools.command_line import UserError

if TYPE_CHECKING:
    from sign_keras.config import Config

NEEDED = ("tensorflow_model_optimization", "tf_keras")
# By model.backbone: the function of keras.applications, whose layers are in a model of the backbone's name.
NETWORKS = {"mobilenet_v2": "MobileNetV2", "mobilenet_v2_points": "MobileNetV2"}
NETWORK_NAME = "mobilenet_v2"
INSTEAD = {"qat": "int8 or dynamic", "pruned": "float16 or dynamic, which are smaller than none, too"}
FRAMES_COMPARED = 8
LEARNING_RATES = {"qat": 3e-5, "pruned": 1e-3}


def check_fine_tuning(method: str, config: "Config") -> None:
    """Raises UserError where a run has no backbone that can be fine-tuned, or packages are missing."""
    backbone = getattr(config.model, "backbone", None)
    if backbone not in NETWORKS:
        raise UserError(
            f"--quantization {method}: fine-tunes frame backbones (model.backbone: {', '.join(NETWORKS)}), and "
            f"this run has {backbone or f'none ({config.model.architecture})'}; choose {INSTEAD[method]}"
        )
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--quantization {method}: not installed: {', '.join(missing)}; they come with an extra: "
            "pip install 'sign_keras[qat]'"
        )


@contextlib.contextmanager
def fine_tuned_backbone(
    model: keras.Model, method: str, config: "Config", examples: Path, *, progress: bool = True
) -> Iterator[dict[str, Any]]:
    """Within the context, a model's frame backbone has weights that were fine-tuned for a file.

    Args:
        model: of a configuration that ``check_fine_tuning`` lets pass.
        method: ``qat`` or ``pruned``.
        config: the run's.
        examples: a folder that ``write_representative_clips`` wrote.
        progress: whether to show a bar where there is a terminal.

    Yields:
        What the report says of it: settings, errors before and after, share of zeros.

    Raises:
        UserError: the same network in the other Keras answers otherwise, or its process is no more.
    """
    settings = config.export.fine_tuning.model_dump()
    settings["learning_rate"] = settings["learning_rate"] or LEARNING_RATES[method]
    backbone = config.model
    assert isinstance(backbone, BackboneSettings)  # check_fine_tuning has seen it
    network = next(layer for layer in model._flatten_layers() if _is_network(layer))
    work = FineTuningWork(
        method=method,
        network=NETWORKS[backbone.backbone],
        width_multiplier=backbone.backbone_width,
        picture=tuple(network.input_shape[1:]),
        outputs=tuple(tensor._keras_history.operation.name for tensor in network.outputs),
        examples=str(examples),
        seed=config.seed,
        **settings,
    )
    before = weights_by_layer(network)
    tuned = _fine_tune(work, before, _expected(network, examples), progress)
    set_weights_by_layer(network, tuned.weights)
    try:
        yield {
            **{name: value for name, value in settings.items() if name != "sparsity" or method == "pruned"},
            "error_before": tuned.error_before,
            "error_after": tuned.error_after,
            "zeros": tuned.zeros,
        }
    finally:
        set_weights_by_layer(network, before)


def _is_network(layer: Any) -> bool:
    return isinstance(layer, keras.Model) and layer.name == NETWORK_NAME


def _expected(network: keras.Model, examples: Path) -> list[np.ndarray]:
    outputs = network(scaled(held_out_frames(examples)[:FRAMES_COMPARED]), training=False)
    return [np.asarray(output) for output in (outputs if isinstance(outputs, list | tuple) else [outputs])]


def _fine_tune(work: FineTuningWork, weights: Weights, expected: list[np.ndarray], progress: bool) -> FineTuned:
    with elsewhere(TF_USE_LEGACY_KERAS="1") as pool:
        try:
            tuned = pool.submit(fine_tune_elsewhere, work, weights, expected, progress).result()
        except BrokenProcessPool:
            raise UserError(
                f"--quantization {work.method}: the process that fine-tunes the backbone died, perhaps for want of "
                f"memory; set export.fine_tuning.batch_size lower than {work.batch_size}"
            ) from None
    if tuned.fault:
        raise UserError(f"--quantization {work.method}: {tuned.fault}; choose {INSTEAD[work.method]}")
    return tuned


def weights_by_layer(network: keras.Model) -> Weights:
    """Copies of a network's weights; layers without any are left out."""
    return {layer.name: [np.array(weight) for weight in layer.weights] for layer in network.layers if layer.weights}


def set_weights_by_layer(network: keras.Model, weights: Weights) -> None:
    """Puts weights into the layers of these names.

    Raises:
        ValueError: they are not of this network's layers, or not of all of them.
    """
    held = {layer.name for layer in network.layers if layer.weights}
    if held != weights.keys():
        raise ValueError(f"weights of other layers: {', '.join(sorted(held ^ weights.keys()))}")
    for name, values in weights.items():
        network.get_layer(name).set_weights(values)
