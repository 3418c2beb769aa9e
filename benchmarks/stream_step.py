"""A causal CNN-LSTM on a stream: one step a frame, against looking at the last 30 frames again with each.

    python benchmarks/stream_step.py
    python benchmarks/stream_step.py --config configs/cnn_lstm.yaml --num-frames 30 --rounds 20

The configuration's model is built with ``causal`` at ``--num-frames``, weights as they come, for time does not
depend on them, and converted to a float32 TFLite file. Window and step take turns on one thread; times are of the
processor, medians over all turns, so that whatever else the machine does counts little.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rows import Row

from sign_keras.quiet import quiet_tensorflow

quiet_tensorflow()

from ai_edge_litert.interpreter import Interpreter  # noqa: E402

from sign_keras.config import load_config  # noqa: E402
from sign_keras.export.tflite import write_tflite  # noqa: E402
from sign_keras.inference.info import SIGNATURE, STEP  # noqa: E402
from sign_keras.models import build_model  # noqa: E402
from sign_keras.models.clip_inputs import ClipInput  # noqa: E402
from sign_keras.models.streaming import build_step_model, initial_state  # noqa: E402

NUM_GLOSSES, FRAME_RATE = 12, 15.0
STEPS = 10  # in a turn, against one window; the first turn does not count


def main() -> None:
    """Runs the benchmark."""
    arguments = _parse()
    windows, steps, found = measure(arguments)
    window_ms, step_ms = float(np.median(windows)), float(np.median(steps))
    times = {
        "window_ms": round(window_ms, 2),
        "step_ms": round(step_ms, 2),
        "step_of_window": round(step_ms / window_ms, 4),
    }
    print(json.dumps(found | times, indent=1))


def quick(data: Path) -> list[Row]:
    """Fewer turns."""
    del data  # frames are noise
    windows, steps, found = measure(_parse(["--rounds", "7"]))
    of_turns = np.median(np.reshape(steps, (len(windows), STEPS)), axis=1).tolist()
    what = "a frame of a stream through cnn_lstm, made causal"
    reference = f"the last {found['frames_in_a_window']} frames again"
    return [Row(what, reference, of_turns, windows, "ms of the processor")]


def measure(arguments: argparse.Namespace) -> tuple[list[float], list[float], dict[str, Any]]:
    """Milliseconds of every window and of every step, and what the model is."""
    rate = f"sampling.frame_rate={FRAME_RATE}"
    length = f"sampling.num_frames={arguments.num_frames}"
    config = load_config(arguments.config, [rate, length, "model.causal=true"])
    model = build_model(config.model, ClipInput(config.sampling), NUM_GLOSSES)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.tflite"
        write_tflite(model, {"none": path}, build_step_model(model))
        interpreter = Interpreter(str(path), num_threads=1)
        size = path.stat().st_size
    window, step = (interpreter.get_signature_runner(name) for name in (SIGNATURE, STEP))
    shape = (1, arguments.num_frames, config.sampling.height, config.sampling.width, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    clip = {"frames": frames, "frame_mask": np.ones((1, arguments.num_frames), bool)}
    frame = {"frames": frames[:, :1], "state": np.asarray(initial_state(model))}
    windows: list[float] = []
    steps: list[float] = []
    for turn in range(arguments.rounds + 1):
        windows.append(_milliseconds(lambda: window(**clip)))
        steps += [_milliseconds(lambda: step(**frame)) for _ in range(STEPS)]
        if turn == 0:
            windows, steps = [], []
    found = {
        "config": arguments.config.stem,
        "frames_in_a_window": arguments.num_frames,
        "state_numbers": int(frame["state"].size),
        "megabytes": round(size / 1e6, 2),
    }
    return windows, steps, found


def _milliseconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return (time.process_time() - begin) * 1e3


def _parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/cnn_lstm.yaml"))
    parser.add_argument("--num-frames", type=int, default=30, metavar="N", help="in a window (default: 30)")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="turns (default: 20)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
