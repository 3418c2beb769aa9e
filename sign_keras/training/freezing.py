"""Which stages of a model learn, and from which epoch on.

A stage is a top-level layer with weights (``models.stage_names``). A frozen one has no gradient, and its batch
normalisation works in evaluation mode, with the statistics that it has.
"""

from collections.abc import Iterable, Mapping

import keras
from tqdm import tqdm

from sign_keras.config import TrainConfig
from sign_keras.models import stage_names
from tfrecords_tools.command_line import UserError


class Freezing:
    """The stages of one model, and the epoch from which each learns.

    Args:
        model: as built; what its configuration froze stays frozen unless ``unfreeze`` names it.
        config: the ``train`` section.

    Raises:
        UserError: a name is none of the model's stages.
    """

    def __init__(self, model: keras.Model, config: TrainConfig) -> None:
        self._model = model
        self._begins = {name: epoch for epoch, names in config.unfreeze.items() for name in names}
        self._learning: set[str] = set()
        for field, names in (
            ("freeze", config.freeze),
            ("unfreeze", self._begins),
            ("learning_rates", config.learning_rates),
        ):
            self._check(field, names)
        for name in config.freeze:
            _set_learning(model.get_layer(name), False)

    def _check(self, field: str, names: Iterable[str]) -> None:
        known = stage_names(self._model)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UserError(
                f"train.{field}: {', '.join(unknown)}: no such stage of {self._model.name}; it has "
                f"{', '.join(known)}"
            )

    def first_epoch(self, stage: str) -> int:
        """From when on a stage learns, from 1; for good, where it never does."""
        return self._begins.get(stage, 1)

    def ever_learning(self) -> list[keras.Variable]:
        """Weights that learn at some time, in the model's order."""
        for name in self._begins:
            _set_learning(self._model.get_layer(name), True)
        variables = list(self._model.trainable_variables)
        self._learning = set(self._begins)
        return variables

    def set_epoch(self, epoch: int) -> list[str]:
        """Freezes and unfreezes for an epoch, counted from 1; returns the stages that changed.

        Raises:
            UserError: nothing would learn in it.
        """
        learning = {name for name, begin in self._begins.items() if epoch >= begin}
        changed = sorted(learning ^ self._learning, key=list(self._begins).index)
        for name in changed:
            _set_learning(self._model.get_layer(name), name in learning)
        self._learning = learning
        if not self._model.trainable_variables:
            raise UserError(
                f"train.freeze and train.unfreeze leave nothing that learns in epoch {epoch}; the stages of "
                f"{self._model.name} are {', '.join(stage_names(self._model))}"
            )
        return changed


def _set_learning(stage: keras.Layer, learns: bool) -> None:
    """Freezes or unfreezes a stage and all within.

    TensorFlow's objects skip assigning what an attribute has already: a stage that counts as learning, around a
    backbone that a configuration froze, would leave the backbone as it is.
    """
    stage.trainable = not learns
    stage.trainable = learns


class UnfreezeStages(keras.callbacks.Callback):
    """Applies ``Freezing`` at the beginning of each epoch; where it changes, the training step is traced anew."""

    def __init__(self, freezing: Freezing) -> None:
        super().__init__()
        self._freezing = freezing

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """``epoch`` counts from 0."""
        del logs
        changed = self._freezing.set_epoch(epoch + 1)
        if changed:
            # Keras keeps the traced step, which knows what learned when it was traced.
            self.model.make_train_function(force=True)
        # After --resume stages change, too, that began in epochs before.
        if begun := [stage for stage in changed if self._freezing.first_epoch(stage) == epoch + 1]:
            tqdm.write(f"epoch {epoch + 1:>3}: {', '.join(begun)} begins to learn")


def running_statistics(model: keras.Model) -> list[keras.Variable]:
    """Means and variances of the batch normalisation layers that learn, in the model's order."""
    return [
        variable
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        for variable in (layer.moving_mean, layer.moving_variance)
    ]
