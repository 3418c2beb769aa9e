"""Starts the dropout that begins late, in a training from the start and in one that goes on."""

from collections.abc import Mapping

import keras
from tqdm import tqdm

from sign_keras.models.late_dropout import LateDropout


class StartLateDropout(keras.callbacks.Callback):
    """Tells every ``LateDropout`` the epoch when it begins; where that changes it, the step is traced anew."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """``epoch`` counts from 0."""
        del logs
        layers = [layer for layer in self.model._flatten_layers() if isinstance(layer, LateDropout)]
        changed = [layer for layer in layers if layer.set_epoch(epoch + 1)]
        if changed:
            # Keras keeps the traced step, which knows what was on when it was traced.
            self.model.make_train_function(force=True)
        for layer in changed:
            if layer.is_on:
                tqdm.write(f"epoch {epoch + 1:>3}: {layer.name} begins to drop")
