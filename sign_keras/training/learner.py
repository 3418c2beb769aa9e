"""The steps of training and validation: one update from several batches, exactly averaged over all devices."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from sign_keras.training.adversarial import AdversarialWeights
from sign_keras.training.averaging import WeightAverages
from sign_keras.training.confusion import ConfusionCounts
from sign_keras.training.freezing import running_statistics
from sign_keras.training.gradient_norms import GradientNorms
from sign_keras.training.stage_learning import StageLearning
from sign_keras.training.workers import shared_step

Tensors = Any  # a tensor, or a dictionary of tensors


class Computed(NamedTuple):
    """What one pass over a device's clips gives.

    Attributes:
        gradients: this device's share of the gradient by each weight.
        losses: ``[n]``, or ``[n, L]`` of a model with several losses, not weighted.
        logits: of its n clips.
        by_loss: where losses are balanced by it, this device's share of each loss's gradient at the shared weights.
    """

    gradients: list[Any]
    losses: Any
    logits: Any
    by_loss: list[list[Any]]


class Learner(keras.Model):
    """A functional model with the training step that the recipe needs; it shares the model's layers and names.

    The gradient is that of the mean loss over all clips of an update: on however many devices, in however many
    parts, and with however few clips in the last batch of an epoch. Keras's own accumulation fails under
    ``MirroredStrategy`` (a condition around an update of mirrored variables). Here a step takes a large batch and
    computes it in parts, one after the other; nothing is left over between steps, nor at an epoch's end.

    Keras keeps running statistics of batch normalisation on each device by itself; here all have their mean.

    Args:
        model: functional, with one output of logits.
        accumulate_steps: parts of a step.
    """

    def __init__(self, model: keras.Model, accumulate_steps: int = 1) -> None:
        super().__init__(model._inputs_struct, model.output, name=model.name)
        self._accumulate_steps = accumulate_steps
        self.averages: WeightAverages | None = None
        self.confusion: ConfusionCounts | None = None
        self.adversary: AdversarialWeights | None = None
        self.stages: StageLearning | None = None
        self.gradient_norms: GradientNorms | None = None

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Keras's, and the means of several losses."""
        return [*super().metrics, *([] if self.stages is None else self.stages.means)]

    @property
    def metrics_variables(self) -> list[keras.Variable]:
        """What an epoch counts: of Keras's metrics, and of gradients."""
        return [*super().metrics_variables, *([] if self.gradient_norms is None else self.gradient_norms.variables)]

    def weights_to_keep(self) -> AbstractContextManager[None]:
        """A context in which the model has the weights that validation saw: the averages, where there are any."""
        return nullcontext() if self.averages is None else self.averages.in_model()

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update; ``data`` is ``(inputs, labels)`` of this device's clips, at least one."""
        inputs, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        context = tf.distribute.get_replica_context()
        weights = self.trainable_weights
        several_devices = context.num_replicas_in_sync > 1
        total = tf.shape(labels)[0]
        if several_devices:
            total = context.all_reduce(tf.distribute.ReduceOp.SUM, total)
        computed = self._gradients(inputs, labels, total, weights)
        gradients = computed.gradients
        if several_devices:
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
            self._share_running_statistics(context)
        if self.adversary is not None and self.adversary.is_on:
            perturbed = self.adversary.perturb(weights, gradients)
            # Nothing is assigned in this scope, running statistics neither.
            with keras.StatelessScope(zip(weights, perturbed, strict=True), collect_losses=True):
                gradients = self._gradients(inputs, labels, total, perturbed).gradients
            if several_devices:
                gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        if self.gradient_norms is not None:
            self.gradient_norms.update(gradients, weights)
        self.optimizer.apply(gradients, weights)
        if self.averages is not None:
            self.averages.update(self.optimizer.iterations)
        self._track_loss(computed.losses)
        if self.stages is not None:
            self.stages.update(computed.losses, computed.by_loss, total)
        return self.compute_metrics(inputs, labels, computed.logits)

    def _forward(self, inputs: Tensors, labels: Any, *, training: bool) -> tuple[Any, Any]:
        """Logits and losses of clips, the latter as ``Computed`` has them."""
        if self.stages is not None:
            outputs = self.stages.model(inputs, training=training)
            return outputs[0], self.stages.losses.call(labels, outputs)
        logits = self(inputs, training=training)
        return logits, self.loss.call(labels, logits)

    def _weighted(self, losses: Any) -> Any:
        """``[n]`` of what ``_forward`` gives."""
        return losses if self.stages is None else tf.linalg.matvec(losses, self.stages.weighting.weights())

    def _gradients(self, inputs: Tensors, labels: Any, total: Any, weights: list[Any]) -> Computed:
        """One pass over this device's clips.

        Args:
            inputs: of ``[n, ...]``.
            labels: ``[n]`` or ``[n, ...]``.
            total: clips on all devices.
            weights: variables, or the tensors that stand for them in a ``keras.StatelessScope``.
        """
        context, num_clips = tf.distribute.get_replica_context(), tf.shape(labels)[0]
        gradients: list[Any] = []
        losses, logits = [], []
        by_loss: list[list[Any]] = []
        balanced = self.stages is not None and self.stages.weighting.needs_gradients
        for part_inputs, part_labels, is_new in self._parts(inputs, labels, num_clips, gradients):
            with tf.GradientTape(persistent=balanced) as tape:
                tape.watch([weight for weight in weights if not isinstance(weight, keras.Variable)])
                part_logits, part_losses = self._forward(part_inputs, part_labels, training=True)
                if is_new is not None:
                    part_losses = part_losses * (is_new if part_losses.shape.rank == 1 else is_new[:, None])
                sums = tf.unstack(tf.reduce_sum(part_losses, axis=0)) if balanced else []
                loss = tf.reduce_sum(self._weighted(part_losses)) / tf.cast(total, tf.float32)
                if self.losses:  # regularisation: once, over all parts and devices
                    loss += tf.add_n(self.losses) / (self._accumulate_steps * context.num_replicas_in_sync)
                loss = self.optimizer.scale_loss(loss)
            part = tape.gradient(loss, weights, unconnected_gradients="zero")
            part = [tf.convert_to_tensor(gradient) for gradient in part]
            gradients[:] = _added(gradients, part)
            if self.stages is not None and balanced:
                shared = self.stages.shared
                of_part = [tape.gradient(one, shared, unconnected_gradients="zero") for one in sums]
                by_loss = [_added(a, b) for a, b in zip(by_loss or [[]] * len(sums), of_part, strict=True)]
            del tape
            losses.append(part_losses)
            logits.append(part_logits)
        return Computed(gradients, tf.concat(losses, 0)[:num_clips], tf.concat(logits, 0)[:num_clips], by_loss)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Validation of one batch."""
        inputs, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        logits, losses = self._forward(inputs, labels, training=False)
        self._track_loss(losses)
        if self.confusion is not None:
            self.confusion.update(labels, logits)
        return self.compute_metrics(inputs, labels, logits)

    def _parts(
        self, inputs: Tensors, labels: Any, num_clips: Any, gradients: list[Any]
    ) -> Iterator[tuple[Tensors, Any, Any]]:
        """Splits a batch into ``accumulate_steps`` equal parts: inputs, labels, and 1 for each clip that counts.

        Where clips do not suffice, the first come once more and count 0: no part is ever empty.

        Args:
            inputs: of ``[n, ...]``.
            labels: ``[n]`` or ``[n, ...]``.
            num_clips: ``n``.
            gradients: what the parts before have given: a part begins when they are there, so that memory holds
                one part's activations and not all of them.
        """
        if self._accumulate_steps == 1:
            yield inputs, labels, None
            return
        size = -(-num_clips // self._accumulate_steps)
        for index in range(self._accumulate_steps):
            with tf.control_dependencies(gradients):
                places = index * size + tf.range(size)
            taken = keras.tree.map_structure(
                lambda tensor, places=places: tf.gather(tensor, places % num_clips), (inputs, labels)
            )
            yield *taken, tf.cast(places < num_clips, tf.float32)

    def _share_running_statistics(self, context: tf.distribute.ReplicaContext) -> None:
        variables = running_statistics(self)
        if variables:
            means = context.all_reduce(tf.distribute.ReduceOp.MEAN, [variable.value for variable in variables])
            for variable, mean in zip(variables, means, strict=True):
                variable.assign(mean)

    def _track_loss(self, losses: Any) -> None:
        self._loss_tracker.update_state(self._weighted(losses))
        if self.stages is not None:
            self.stages.track(losses)

    def _make_function(self, step_function: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
        """Keras's step does not work on several machines."""
        strategy = self.distribute_strategy
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return shared_step(strategy, step_function)
        made: Callable[[Any], dict[str, Any]] = super()._make_function(step_function)
        return made

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Keras averages the first batch over devices, which fails where it does not divide evenly."""
        if iterator is not None:
            for _, _, batches in iterator:
                data_batch = keras.tree.map_structure(
                    lambda value: self.distribute_strategy.experimental_local_results(value)[0], next(batches)
                )
                break
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)


def _added(sums: list[Any], more: list[Any]) -> list[Any]:
    """Sums of tensors one by one; at first there are none."""
    return [a + b for a, b in zip(sums, more, strict=True)] if sums else more
