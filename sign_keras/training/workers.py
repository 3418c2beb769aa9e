"""The processes that take each step of a training together: most often one, or one a machine by ``TF_CONFIG``."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sign_keras.data.clip import Inputs
from sign_keras.data.shares import Share
from sign_keras.quiet import let_onednn_complain
from sign_keras.training.cluster import Cluster
from tfrecords_tools.command_line import UserError, quiet_stderr

# A worker that is not heard of for so long is taken for dead; one that was killed is noticed at its next step.
HEARTBEAT_SECONDS = 30
# So long workers wait for each other at the start: schedulers do not start all at once.
GATHERING_SECONDS = 600
# What TensorFlow raises where another worker is gone or cannot be reached; other errors may say so.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
SIGNS_OF_LOSS = ("heartbeat", "unhealthy", "Socket closed", "Connection re")
REMEDY = "see that all are started, can reach each other, and that their ports are free"
GUARD = """
import os, sys, time
seconds, message, guarded = float(sys.argv[1]), sys.argv[2], int(sys.argv[3])
end = time.monotonic() + seconds
while os.getppid() == guarded and time.monotonic() < end:
    time.sleep(0.2)
if os.getppid() == guarded:
    print(message, file=sys.stderr, flush=True)
    os.kill(guarded, 9)
"""
GO_ON = "start the same command again on all of them, with --resume"


class Workers:
    """Of one training; made before TensorFlow computes anything, as it connects the machines.

    Methods that all workers are to call at the same point of the training say so. Alone, they cost nothing.

    Args:
        cluster: the machines; None: this one alone.

    Attributes:
        strategy: over all devices of all workers.
        devices: how many these are.
        count: of workers.
        index: of this one.

    Raises:
        UserError: the others cannot be reached.
    """

    def __init__(self, cluster: Cluster | None = None) -> None:
        self._cluster = cluster
        self.index, self.count = (0, 1) if cluster is None else (cluster.index, len(cluster.tasks))
        self.strategy = local_strategy() if cluster is None else _connected(cluster)
        let_onednn_complain()
        self.devices: int = self.strategy.num_replicas_in_sync
        self._sum = tf.function(self._summed, reduce_retracing=True)
        if self.devices % self.count:  # said by none of the others
            raise UserError(f"{self.devices} devices on {self.count} workers: each must have as many")

    @property
    def is_chief(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    @property
    def share(self) -> Share:
        """Of each training batch, what this worker takes."""
        return Share(self.index, self.count, self.devices)

    @property
    def local_devices(self) -> int:
        """Devices of this worker."""
        return self.devices // self.count

    @property
    def first_device(self) -> int:
        """The first of these, among all."""
        return self.index * self.local_devices

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Which of the flags are set on any worker; all call it."""
        if self.count == 1:
            return flags
        return tuple(bool(total) for total in self._sum(tf.constant(flags, tf.float32)))

    def wait(self) -> None:
        """Until all have come to the same point; all call it."""
        self.any(True)

    def check_same(self, what: str, value: bytes) -> None:
        """Compares a digest; all call it.

        Raises:
            UserError: it differs between workers; ``what`` says what that means.
        """
        if self.count == 1:
            return
        table = np.zeros((self.count, 8), np.float32)  # bytes are whole numbers: their sums are exact
        table[self.index] = list(value[:8])
        found = self._sum(tf.constant(table)).numpy()
        differing = [number for number in range(self.count) if (found[number] != found[0]).any()]
        if differing:
            raise UserError(f"worker {differing[0]} of {self.count} {what} than worker 0")

    def values_of_all(self, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
        """What every device holds of each variable, ``[devices, ...]``; all call it."""
        local = [
            np.stack([part.numpy() for part in self.strategy.experimental_local_results(variable.value)])
            for variable in variables
        ]
        if self.count == 1:
            return local
        found = []
        for values in local:
            table = np.zeros((self.devices, *values.shape[1:]), values.dtype)
            table[self.first_device : self.first_device + self.local_devices] = values
            found.append(self._sum(tf.constant(table)).numpy())
        return found

    def distribute(self, batches: tf.data.Dataset) -> Any:
        """Batches of this worker, dealt to its devices: as many on all workers, as many clips for each."""
        if self.count == 1:
            return self.strategy.experimental_distribute_dataset(batches)
        return self._dealt(batches, 0, self.local_devices)

    def distribute_whole(self, batches: tf.data.Dataset) -> Any:
        """Batches of all workers, dealt to all devices; of few clips, some have none."""
        if self.count == 1:
            return batches
        return self._dealt(batches, self.first_device, self.devices)

    def _dealt(self, batches: tf.data.Dataset, first: int, devices: int) -> Any:
        """To each device of this worker in turn its part, of ``devices`` from ``first`` on."""

        def deal(inputs: Inputs, labels: tf.Tensor) -> tf.data.Dataset:
            mine = tf.data.Dataset.range(first, first + self.local_devices)
            return mine.map(lambda device: Share(device, devices).of_batch(inputs, labels))

        dealt = batches.flat_map(deal).prefetch(tf.data.AUTOTUNE)
        return self.strategy.distribute_datasets_from_function(lambda context: dealt)

    def _summed(self, value: tf.Tensor) -> tf.Tensor:
        """Over workers, each with a value of its own."""

        def of_device(value: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group % self.local_devices, 0)
            once = tf.where(is_first, value, tf.zeros_like(value))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, once)

        results = self.strategy.run(of_device, args=(value,))
        return self.strategy.experimental_local_results(results)[0]

    @contextmanager
    def noticing_losses(self) -> Iterator[None]:
        """Within, the loss of another worker is one line.

        Raises:
            UserError: another worker is gone.
        """
        try:
            yield
        except tf.errors.OpError as error:
            is_lost = isinstance(error, LOST) or any(sign in str(error) for sign in SIGNS_OF_LOSS)
            if self.count == 1 or not is_lost:
                raise
            lost = _named_in(str(error), self._cluster)
            raise UserError(
                f"{lost} does not answer any more (it ended, or its machine or the network did; see its output); "
                f"{GO_ON}"
            ) from error


@functools.cache
def local_strategy() -> tf.distribute.Strategy:
    """Over all devices of this machine: one for all trainings of a process.

    TensorFlow numbers the reductions of each strategy from the same number on, so that a second training's would be
    taken for those of a first, and refused where models differ in size.
    """
    return tf.distribute.MirroredStrategy()


def _connected(cluster: Cluster) -> tf.distribute.Strategy:
    # There is no public way to set this time.
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
    from tensorflow.python.eager import context

    job, number, address = cluster.tasks[cluster.index]
    leader, first, _ = cluster.tasks[0]
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{leader}/replica:0/task:{first}",
        heartbeat_timeout_in_ms=1000 * HEARTBEAT_SECONDS,
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(name=name, num_tasks=len(addresses))
            for name, addresses in cluster.jobs.items()
        ],
    )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster.jobs),
        task_type=job,
        task_id=number,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )
    print(f"worker {cluster.index} of {len(cluster.tasks)} at {address}: waiting for the others", flush=True)
    late = f"error: TF_CONFIG: the others of worker {cluster.index} did not all come within {GATHERING_SECONDS} s; "
    try:
        with _no_longer_than(GATHERING_SECONDS, late + REMEDY), quiet_stderr():
            return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (tf.errors.OpError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"TF_CONFIG: worker {cluster.index} at {address} cannot join ({reason}); {REMEDY}"
        ) from error


@contextmanager
def _no_longer_than(seconds: int, message: str) -> Iterator[None]:
    """Ends this process with a message when so long has passed: from outside, as TensorFlow waits for ever for the
    others, and neither Python's threads nor its signal handlers run in the meantime.
    """
    guard = subprocess.Popen([sys.executable, "-S", "-E", "-c", GUARD, str(seconds), message, str(os.getpid())])
    try:
        yield
    finally:
        guard.kill()
        guard.wait()


def _named_in(message: str, cluster: Cluster | None) -> str:
    for index, (job, number, address) in enumerate(cluster.tasks if cluster else ()):
        if f"/job:{job}/replica:0/task:{number}" in message and cluster and index != cluster.index:
            return f"worker {index} at {address}"
    return "another worker"


def shared_step(
    strategy: tf.distribute.Strategy, step: Callable[[Any], Mapping[str, Any]]
) -> Callable[[Any], dict[str, Any]]:
    """A step of ``Learner`` on all devices of all workers, with the mean of what it logs.

    In place of Keras's, which averages numbers along an axis that they do not have.

    Args:
        strategy: of several workers.
        step: of one device's clips; logs scalars.

    Returns:
        Takes an iterator over distributed batches; raises ``OutOfRangeError`` at its end.
    """

    def averaged(data: Any) -> dict[str, Any]:
        logs = step(data)
        values = tf.stack([tf.cast(value, tf.float32) for value in logs.values()])
        mean = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)
        return dict(zip(logs, tf.unstack(mean), strict=True))

    def on_all(batches: Any) -> dict[str, Any]:
        logs = strategy.run(averaged, args=(next(batches),))
        return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

    return tf.function(on_all, reduce_retracing=True, autograph=False)
