"""Where a training step of a 3D network goes, by TensorFlow operator, and what XLA makes of it.

    python benchmarks/step_profile.py --model r3d_18
    python benchmarks/step_profile.py --model r3d_18 --xla
    TF_ENABLE_ONEDNN_OPTS=0 python benchmarks/step_profile.py --model r3d_18

CPU seconds of all threads together: other work on the machine changes them little.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import tensorflow as tf
from rows import Row
from tensorflow.tsl.profiler.protobuf import xplane_pb2
from training_step_keras import Training, random_batch

SHAPE = (16, 112, 112)
HOST = "/host:CPU"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="r3d_18", help="architecture and depth (default r3d_18)")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="clips (default 1)")
    parser.add_argument("--steps", type=int, default=4, metavar="N", help="measured (default 4)")
    parser.add_argument("--xla", action="store_true", help="compile the step; operators are then not told apart")
    arguments = parser.parse_args()
    learner = Training(arguments.model, list(SHAPE), remat=False).learner
    learner.jit_compile = arguments.xla
    batch = random_batch([arguments.batch_size, *SHAPE, 3])

    def step() -> None:
        learner.train_on_batch(*batch)

    step()  # traces
    step()
    seconds = [cpu_seconds(step) for _ in range(arguments.steps)]
    print(f"{arguments.model}: {np.median(seconds):.2f} CPU seconds a step (each: {np.round(seconds, 2).tolist()})")
    if not arguments.xla:
        operators = operator_seconds(step)
        total = sum(operators.values())
        for name, spent in operators.most_common(12):
            print(f"  {name:36} {spent / total:6.1%}")


def quick(data: Path) -> list[Row]:
    """How much of a step is convolutions: the rest reads and writes maps for few FLOPs."""
    del data  # clips are noise
    learner = Training("r3d_18", list(SHAPE), remat=False).learner
    batch = random_batch([1, *SHAPE, 3])

    def step() -> None:
        learner.train_on_batch(*batch)

    step()
    step()
    convolving, all_of_it = [], []
    for _ in range(3):
        operators = operator_seconds(step)
        convolving.append(sum(spent for name, spent in operators.items() if "Conv" in name))
        all_of_it.append(sum(operators.values()))
    what = "convolutions in a training step of r3d_18, one clip of 16 x 112 x 112"
    return [Row(what, "all operators", convolving, all_of_it, "CPU s", "higher")]


def cpu_seconds(step) -> float:
    """Of one step."""
    start = time.process_time()
    step()
    return time.process_time() - start


def operator_seconds(step) -> Counter[str]:
    """Seconds of one step by operator, of all threads together."""
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            step()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    operators: Counter[str] = Counter()
    for plane in (plane for plane in space.planes if plane.name == HOST):
        for event in (event for line in plane.lines for event in line.events):
            # An operator's event is called after its node and kind: "model/conv/Conv3D:Conv3D".
            name = plane.event_metadata[event.metadata_id].name
            node, _, kind = name.rpartition(":")
            if node and kind.isidentifier() and not kind.startswith("__") and "::" not in name:
                operators[kind] += event.duration_ps / 1e12
    return operators


if __name__ == "__main__":
    main()
