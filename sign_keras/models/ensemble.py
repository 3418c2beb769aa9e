"""Several models as one, whose logits are the mean of theirs.

Source: deep ensembles, Lakshminarayanan et al. 2017, arXiv:1612.01474: the same network trained from several seeds.
Different from there, logits are averaged instead of probabilities: the result is again a linear head on features,
which can be calibrated by one temperature, and be given another gloss.
"""

from collections.abc import Sequence

import keras


def average_models(models: Sequence[keras.Model]) -> keras.Model:
    """Builds the ensemble.

    Args:
        models: with the same inputs by name, and as many logits; they become its layers ``member1``, ``member2``...

    Returns:
        A model from those inputs to float32 logits ``[B, V]``.
    """
    for number, model in enumerate(models, start=1):
        model.name = f"member{number}"
    inputs = {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
        for name, tensor in models[0].input.items()
    }
    logits = keras.layers.Average(dtype="float32", name="mean_logits")([model(inputs) for model in models])
    return keras.Model(inputs, logits, name="ensemble")
