"""Keypoint models on a phone's terms: size and time of their TFLite files on one thread, side by side.

    python benchmarks/keypoint_latency.py
    python benchmarks/keypoint_latency.py --configs configs/A.yaml configs/B.yaml --num-frames 30 128 --rounds 20

Each configuration is built at each length with weights as they come, for time and size do not depend on them, and
converted to float32 and float16. Times are of the float16 file through LiteRT's interpreter, one thread:

- *landmarks in*: MediaPipe's 543 landmarks to logits, features computed inside, as exported.
- *features in*: the network alone, as published figures of such networks have it.
- *step*: one frame of a stream, landmarks in; of causal models.

Files take turns, so that whatever else the machine does falls on all of them alike; the medians are of all turns.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rows import Row

from sign_keras.quiet import quiet_tensorflow

quiet_tensorflow()

import keras  # noqa: E402

from sign_keras.config import Config, KeypointConvTransformerConfig, load_config  # noqa: E402
from sign_keras.export.tflite import write_tflite  # noqa: E402
from sign_keras.inference.info import SIGNATURE, STEP  # noqa: E402
from sign_keras.models import build_model  # noqa: E402
from sign_keras.models.clip_inputs import ClipInput  # noqa: E402
from sign_keras.models.heads import classification_head  # noqa: E402
from sign_keras.models.keypoint_conv_transformer import frame_network, pool_frames  # noqa: E402
from sign_keras.models.streaming import build_step_model  # noqa: E402
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC  # noqa: E402

CONFIGS = tuple(
    Path(f"configs/mp_words_{name}.yaml")
    for name in ("conv_transformer", "causal_conv", "islr_first_place", "tutorial_lstm")
)
NUM_GLOSSES = 12
# In a turn, calls that do not count, while the processor's cache fills, and calls that do.
CALLS_BEFORE, CALLS = 3, 10

Call = Callable[[], object]


@dataclass
class Subject:
    """A configuration at a length.

    Attributes:
        name: of the configuration.
        num_frames: of a clip.
        parameters: of the model.
        megabytes: of the float32 and the float16 file.
        calls: what is timed, by the table's column.
        milliseconds: of each call so far, by column.
    """

    name: str
    num_frames: int
    parameters: int
    megabytes: dict[str, float]
    calls: dict[str, Call]
    milliseconds: dict[str, list[float]]

    def medians(self) -> dict[str, float]:
        """Of each column."""
        return {column: float(np.median(values)) for column, values in self.milliseconds.items()}


def prepare(config: Config, num_frames: int, folder: Path, *, with_alone: bool = True) -> Subject:
    """Builds, converts and loads a configuration; ``with_alone``: its network without features, too."""
    keras.utils.set_random_seed(0)
    sampling = config.sampling.model_copy(update={"num_frames": num_frames})
    model = build_model(config.model, ClipInput(sampling, layout=MEDIAPIPE_HOLISTIC), NUM_GLOSSES)
    step_model = build_step_model(model) if config.model.is_causal else None
    files = {kind: folder / f"{config.name}_{num_frames}_{kind}.tflite" for kind in ("none", "float16")}
    write_tflite(model, files, step_model)
    calls = {"landmarks in": _call(files["float16"], SIGNATURE)}
    if with_alone and isinstance(config.model, KeypointConvTransformerConfig):
        alone = folder / f"{config.name}_{num_frames}_alone.tflite"
        write_tflite(network_alone(model, config.model), {"float16": alone})
        calls["features in"] = _call(alone, SIGNATURE)
    if step_model is not None:
        calls["step"] = _call(files["float16"], STEP)
    return Subject(
        config.name,
        num_frames,
        model.count_params(),
        {kind: file.stat().st_size / 1e6 for kind, file in files.items()},
        calls,
        {column: [] for column in calls},
    )


def network_alone(model: keras.Model, config: KeypointConvTransformerConfig) -> keras.Model:
    """The same network on features that were computed before."""
    inputs = {"features": keras.Input(model.get_layer("features").output.shape[1:], name="features")}
    if "frame_mask" in model.input:
        inputs["frame_mask"] = keras.Input(model.input["frame_mask"].shape[1:], dtype="bool", name="frame_mask")
    mask = inputs.get("frame_mask")
    features = pool_frames(frame_network(inputs["features"], config, mask), config.pooling, mask)
    return keras.Model(inputs, classification_head(features, NUM_GLOSSES, config.dropout))


def _call(file: Path, signature: str) -> Call:
    """One run of a file's signature on made-up landmarks, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file), num_threads=1)
    runner = interpreter.get_signature_runner(signature)
    rng = np.random.default_rng(0)
    inputs = {
        name: np.ones(detail["shape"], bool)
        if detail["dtype"] == np.bool_
        else rng.uniform(0.2, 0.8, detail["shape"]).astype(np.float32)
        for name, detail in runner.get_input_details().items()
    }
    return lambda: runner(**inputs)


def measure(subjects: Sequence[Subject], rounds: int) -> None:
    """Times every call of every subject, in ``rounds`` turns."""
    for _ in range(rounds):
        for subject in subjects:
            for column, call in subject.calls.items():
                for number in range(-CALLS_BEFORE, CALLS):
                    start = time.perf_counter()
                    call()
                    if number >= 0:
                        subject.milliseconds[column].append((time.perf_counter() - start) * 1e3)


def format_table(subjects: Sequence[Subject]) -> str:
    """The table, in Markdown."""
    columns = "configuration, frames, parameters, MB in float32, in float16, landmarks in (ms), features in, step"
    lines = [f"| {columns.replace(', ', ' | ')} |", "|---" * 8 + "|"]
    for subject in subjects:
        times = subject.medians()
        step = f"{times['step']:.3f}, 1/{times['landmarks in'] / times['step']:.0f}" if "step" in times else ""
        cells = [
            subject.name,
            str(subject.num_frames),
            f"{subject.parameters:,}",
            *(f"{value:.2f}" for value in subject.megabytes.values()),
            *(f"{times[column]:.3f}" if column in times else "" for column in ("landmarks in", "features in")),
            step,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def quick(data: Path) -> list[Row]:
    """Two models at 30 frames, and a step of one that streams."""
    del data  # landmarks are made up
    rounds = 7
    with tempfile.TemporaryDirectory() as folder:
        ours, causal, lstm = (
            prepare(load_config(CONFIGS[place]), 30, Path(folder), with_alone=False) for place in (0, 1, 3)
        )
        measure([ours, causal, lstm], rounds)

    def turns(subject: Subject, column: str) -> list[float]:
        return np.median(np.reshape(subject.milliseconds[column], (rounds, CALLS)), axis=1).tolist()

    whole = "landmarks in"
    return [
        Row(f"a clip through {ours.name}", lstm.name, turns(ours, whole), turns(lstm, whole), "ms"),
        Row(
            f"a frame of a stream through {causal.name}",
            "30 frames again",
            turns(causal, "step"),
            turns(causal, whole),
            "ms",
        ),
    ]


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", type=Path, default=CONFIGS, metavar="FILE")
    parser.add_argument("--num-frames", nargs="+", type=int, default=[30, 128], metavar="T")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="turns of each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments = parser.parse_args()
    configs = [load_config(file) for file in arguments.configs]
    with tempfile.TemporaryDirectory() as folder:
        subjects = []
        for num_frames in arguments.num_frames:
            for config in configs:
                print(f"converting {config.name} for {num_frames} frames", flush=True)
                subjects.append(prepare(config, num_frames, Path(folder)))
        measure(subjects, arguments.rounds)
    print(format_table(subjects))
    if arguments.json:
        figures = [
            {"config": of.name, "num_frames": of.num_frames, "parameters": of.parameters, "megabytes": of.megabytes}
            | {"milliseconds": of.medians()}
            for of in subjects
        ]
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
