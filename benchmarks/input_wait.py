"""How long training waits for its records: ``input_wait`` of ``history.csv`` beside what a trace says.

    python benchmarks/input_wait.py --config configs/mp_words_conv_transformer.yaml

Trains as ``sign_keras.train`` does, into a folder that is thrown away. In the second epoch, where what is cached
is cached, TensorFlow's profiler traces the training loop. The wait is what a step spends in asking its iterator for
the batch, whatever tf.data's own threads do meanwhile.
"""

import argparse
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from sign_keras.quiet import quiet_tensorflow

quiet_tensorflow()

import tensorflow as tf  # noqa: E402
from tensorflow.tsl.profiler.protobuf import xplane_pb2  # noqa: E402

from sign_keras.config import load_config  # noqa: E402
from sign_keras.data.dataset import Records  # noqa: E402
from sign_keras.models import build_model, input_names  # noqa: E402
from sign_keras.reporting.charts import read_history  # noqa: E402
from sign_keras.run import HISTORY_NAME, Run  # noqa: E402
from sign_keras.training.trainer import train  # noqa: E402
from tfrecords_tools.command_line import run_command  # noqa: E402
from tfrecords_tools.settings import add_overrides  # noqa: E402

HOST = "/host:CPU"
# A step of the training loop (training.epochs), and the operators that get its batch, as a trace calls them.
STEP = "timed_step"
WAITS = ("IteratorGetNextAsOptionalOp::DoCompute", "IteratorGetNextOp::DoCompute")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="YAML")
    add_overrides(parser, "change a setting")
    parser.add_argument("--seconds", type=float, default=4.0, help="traced (default 4)")
    arguments = parser.parse_args()
    config = load_config(arguments.config, [*arguments.overrides, "train.epochs=2"])
    records = Records.open(config.records.directory, config.sampling, input_names(config.model, config.sampling))
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", config, records.label_map, records.info)
        tracer = threading.Thread(
            target=trace_after_first_epoch, args=(run.directory / HISTORY_NAME, Path(folder), arguments.seconds)
        )
        tracer.start()
        train(run, records, lambda: build_model(config.model, run.clip_input, len(run.label_map)), resume=False)
        tracer.join()
        (trace,) = Path(folder).rglob("*.xplane.pb")
        count, seconds, waited = measure(trace)
        said = read_history(run.directory / HISTORY_NAME)["input_wait"][-1]
    print(
        f"{count} steps in {seconds:.2f} s, {waited:.4f} s of them waiting for batches: {waited / seconds:.2%}; "
        f"{said:.2%} in the whole epoch, by history.csv"
    )


def trace_after_first_epoch(history: Path, folder: Path, seconds: float) -> None:
    """Waits for the first epoch's row, and traces what follows."""
    while not history.exists():
        time.sleep(0.01)
    with tf.profiler.experimental.Profile(str(folder / "trace")):
        time.sleep(seconds)


def measure(trace: Path) -> tuple[int, float, float]:
    """Steps in a trace, the seconds that they took, and how many of these they waited for them."""
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    (plane,) = (plane for plane in space.planes if plane.name == HOST)
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line, event in ((every, event) for every in plane.lines for event in every.events):
        begins = line.timestamp_ns / 1e9 + event.offset_ps / 1e12
        spans[plane.event_metadata[event.metadata_id].name].append((begins, begins + event.duration_ps / 1e12))
    steps = spans[STEP]
    # Validation asks for its batches likewise, outside of these steps.
    waits = [
        last - first
        for name in WAITS
        for first, last in spans[name]
        if any(begins <= first and last <= ends for begins, ends in steps)
    ]
    return len(steps), sum(ends - begins for begins, ends in steps), sum(waits)


if __name__ == "__main__":
    run_command(main)
