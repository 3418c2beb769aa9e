"""What training on several machines adds to a step: gradients summed over workers, and what they agree on.

Starts N processes on this machine, which talk over loopback as machines do over a network. Each sums a gradient of
so many float32 parameters with the others, as ``Learner`` does, and asks what is asked after every step (whether to
save, whether to stop). One process alone does neither. Times are medians of the first worker, in milliseconds; the
load of the machine is told, as processes that share cores wait for each other.

Example:
  python benchmarks/workers_speed.py --parameters 5000 300000 11000000
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rows import Row

Turns = dict[str, list[float]]


def main() -> None:
    """Runs the benchmark, or is one of its workers."""
    arguments = _parse(sys.argv[1:])
    if "TF_CONFIG" in os.environ:
        _measure(arguments)
        return
    for what, turns in measure(sys.argv[1:]).items():
        print(f"{what:45} median {statistics.median(turns):8.2f} ms  least {min(turns):8.2f} ms")
    print(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def quick(data: Path) -> list[Row]:
    """Fewer turns, and one size of model."""
    del data  # gradients are ones
    asking, summing = measure(["--repeats", "20", "--parameters", "300000"]).items()
    return [Row(f"{summing[0]}, 2 workers", asking[0], summing[1], asking[1], "ms")]


def measure(arguments: Sequence[str]) -> Turns:
    """Milliseconds of every turn, by what it was; from the first of the processes that it starts."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(_parse(arguments).workers)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    processes = []
    for index in range(len(addresses)):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
        output = subprocess.DEVNULL if index else subprocess.PIPE
        command = [sys.executable, __file__, *arguments]
        processes.append(subprocess.Popen(command, env=environment, stdout=output, text=True))
    said, _ = processes[0].communicate()
    if any(process.wait() for process in processes):
        raise SystemExit("a worker failed; its message is above")
    turns: Turns = json.loads(said.splitlines()[-1])
    return turns


def _measure(arguments: argparse.Namespace) -> None:
    from sign_keras.quiet import quiet_tensorflow
    from sign_keras.training.cluster import cluster_from_environment, end_with_status_of

    quiet_tensorflow()
    import tensorflow as tf

    from sign_keras.training.workers import Workers

    workers = Workers(cluster_from_environment())

    def sum_of(count: int) -> Callable[[], Any]:
        @tf.function(autograph=False)
        def summed() -> Any:
            def of_device() -> Any:
                gradient = tf.fill([count], 1.0)
                context = tf.distribute.get_replica_context()
                return tf.reduce_max(context.all_reduce(tf.distribute.ReduceOp.SUM, gradient))

            return workers.strategy.experimental_local_results(workers.strategy.run(of_device))[0]

        return lambda: summed().numpy()

    doing = {"asking whether to save or stop": lambda: workers.any(False, False)}
    doing |= {f"summing {count:,} float32, {4 * count / 1e6:g} MB": sum_of(count) for count in arguments.parameters}
    turns = {what: _milliseconds(do, arguments.repeats) for what, do in doing.items()}
    if workers.is_chief:
        print(json.dumps(turns), flush=True)
    end_with_status_of(lambda: 0)


def _milliseconds(do: Callable[[], Any], repeats: int) -> list[float]:
    do()
    turns = []
    for _ in range(repeats):
        began = time.perf_counter()
        do()
        turns.append(1000 * (time.perf_counter() - began))
    return turns


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        epilog=__doc__[__doc__.index("Example:") :],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--repeats", type=int, default=50, help="of each (default: 50)")
    parser.add_argument(
        "--parameters", type=int, nargs="+", default=[5_000, 300_000, 11_000_000], help="of the models"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
