"""A server under load: clients that stream landmarks at a camera's pace, and how long each waits for its answers.

    python benchmarks/serve_load.py
    python benchmarks/serve_load.py --model tflite/cnn_lstm.tflite --clients 8 --rate 10 --seconds 60

The server is the real command, in a process of its own on the cores that are named; the clients share one process.
Landmarks are made up: a person whose hand goes somewhere and rests, over and over, so that signs begin, end and are
answered. Every event is compared with those of the same landmarks through the engine without a server: none may be
missing, and none other.

Without ``--model``, one is made of a configuration with weights as they come: time does not depend on them.
"""

import argparse
import asyncio
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import websockets
from rows import Row

from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.command_line import run_command
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

CONFIG = Path("configs/keypoint_causal_conv.yaml")
NUM_GLOSSES = 12
RIGHT_HAND = MEDIAPIPE_HOLISTIC.group_slices["right_hand"]
LATENCY_GOAL_MS = 200


@dataclass
class Client:
    """What one client saw.

    Attributes:
        latencies: seconds from a frame's departure to its answer.
        events: in their order.
        dropped: frames that the server left out.
    """

    latencies: list[float] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)
    dropped: int = 0


def landmarks(number: int, num_frames: int, rate: float) -> np.ndarray:
    """``[T, 543, 3]`` float32 of somebody who signs for about a second and rests for one, over and over."""
    rng = np.random.default_rng(number)
    person = rng.uniform(0.4, 0.6, (len(MEDIAPIPE_HOLISTIC.names), 3))
    person[MEDIAPIPE_HOLISTIC.row("pose/left_shoulder"), :2] = 0.6, 0.5
    person[MEDIAPIPE_HOLISTIC.row("pose/right_shoulder"), :2] = 0.4, 0.5
    person[RIGHT_HAND, :2] = 0.4, 0.8
    points = np.repeat(person[np.newaxis], num_frames, axis=0)
    frame = int(rng.integers(0, round(2 * rate)))
    while frame < num_frames:
        length = min(round(rng.uniform(0.8, 1.4) * rate), num_frames - frame)
        way = np.sin(np.linspace(0, np.pi, length))[:, np.newaxis] * rng.uniform(-0.4, 0.2, 2)
        points[frame : frame + length, RIGHT_HAND, :2] += way[:, np.newaxis]
        frame += length + round(rng.uniform(0.8, 1.4) * rate)
    points[:, MEDIAPIPE_HOLISTIC.group_slices["left_hand"]] = np.nan
    return (points + rng.normal(0, 5e-4, points.shape)).astype(np.float32)


async def stream(url: str, points: np.ndarray, rate: float, start: float) -> Client:
    """Sends a client's frames at their times, and takes what comes."""
    client, sent, clock = Client(), [], asyncio.get_running_loop().time
    async with websockets.connect(f"{url}/stream", max_size=None) as socket:

        async def send() -> None:
            for index, frame in enumerate(points):
                await asyncio.sleep(max(0.0, start + index / rate - clock()))
                sent.append(clock())
                await socket.send(struct.pack("<4sd", b"SKL1", index / rate) + frame.tobytes())
            await socket.send('{"type": "finish"}')

        sending = asyncio.create_task(send())
        async for text in socket:
            message = json.loads(text)
            kind = message.pop("type")
            if kind == "result":
                client.latencies.append(clock() - sent[message["frame"]])
            elif kind == "event":
                client.events.append(message)
            elif kind == "finished":
                client.dropped = message["dropped"]
        await sending
    return client


async def load(url: str, streams: list[np.ndarray], rate: float) -> list[Client]:
    """All clients at once, each a little after the one before, as people would be."""
    begin = asyncio.get_running_loop().time() + 1
    starts = [begin + index / rate / len(streams) for index in range(len(streams))]
    return list(
        await asyncio.gather(
            *(stream(url, points, rate, start) for points, start in zip(streams, starts, strict=True))
        )
    )


def expected_events(model: Path, streams: list[np.ndarray], rate: float) -> list[list[dict[str, object]]]:
    """What the engine says of the same landmarks without a server."""
    from sign_keras.inference.loading import load_artefact
    from sign_keras.inference.stream import SignStream
    from sign_keras.inference.stream_settings import StreamSettings

    artefact, found = load_artefact(model), []
    for points in streams:
        engine = SignStream(artefact, StreamSettings())
        events = [event for index, frame in enumerate(points) for event in engine.push(index / rate, frame)]
        found.append([asdict(event) for event in events + engine.finish()])
    return found


def make_model(folder: Path) -> Path:
    """A ``.tflite`` of ``CONFIG`` with weights as they come, for a dozen glosses."""
    import keras

    from sign_keras.config import load_config
    from sign_keras.export.tflite import write_tflite
    from sign_keras.inference.info import FORMAT_VERSION, ArtefactInfo, add_to_tflite
    from sign_keras.models import build_model, input_names
    from sign_keras.models.clip_inputs import ClipInput
    from sign_keras.models.streaming import build_step_model
    from tfrecords_tools.clips import ClipSpec

    config = load_config(CONFIG)
    keras.utils.set_random_seed(0)
    model = build_model(config.model, ClipInput(config.sampling, layout=MEDIAPIPE_HOLISTIC), NUM_GLOSSES)
    path = folder / "load.tflite"
    write_tflite(model, {"none": path}, build_step_model(model))
    info = ArtefactInfo(
        format_version=FORMAT_VERSION,
        name=config.name,
        glosses=tuple(f"gloss_{number}" for number in range(NUM_GLOSSES)),
        clip_spec=ClipSpec(sampling=config.sampling),
        input_names=input_names(config.model, config.sampling),
        trained_on="nothing",
        records_source="none",
        model_card="",
        sign_keras_version="",
    )
    add_to_tflite(path, info)
    return path


def same(event: dict[str, object], other: dict[str, object]) -> bool:
    """Whether two events are one; confidences may differ in the last digits."""
    confidence, expected = event["confidence"], other["confidence"]
    return {**event, "confidence": None} == {**other, "confidence": None} and (
        confidence == expected or bool(np.isclose(confidence, expected, atol=1e-4))
    )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The benchmark's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=True
    )
    parser.add_argument("--model", type=Path, metavar="PATH", help=f"default: {CONFIG} with weights as they come")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=10.0, help="frames a second of each")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cores", type=int, default=2, help="of the server")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures, and prints the table."""
    arguments = parse()
    report(arguments, *measure(arguments))


def quick(data: Path) -> list[Row]:
    """A few seconds of four clients; fails where an event is lost or wrong."""
    del data  # landmarks are made up
    arguments = parse(["--clients", "4", "--seconds", "12"])
    clients, expected, _ = measure(arguments)
    if lost := count_lost(clients, expected):
        raise RuntimeError(f"error: {lost} events lost or wrong")
    late = [1e3 * float(np.percentile(client.latencies, 95)) for client in clients]
    what = f"95th percentile from a frame to its answer, each of {len(clients)} clients of a server"
    return [Row(what, "what it may take", late, [float(LATENCY_GOAL_MS)], "ms")]


def measure(
    arguments: argparse.Namespace,
) -> tuple[list[Client], list[list[dict[str, object]]], int]:
    """Makes a model, starts the server and loads it; what clients saw, what they should have, frames of each."""
    quiet_tensorflow(run_half_op=True)
    num_frames = round(arguments.seconds * arguments.rate)
    streams = [landmarks(number, num_frames, arguments.rate) for number in range(arguments.clients)]
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or make_model(Path(folder))
        expected = expected_events(model, streams, arguments.rate)
        command = [sys.executable, "-m", "sign_keras.serve", "--model", str(model), "--port", "0"]
        command += ["--set", "live.cameras=0"]
        cores = sorted(os.sched_getaffinity(0))[: arguments.cores]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cores)
        ) as server:
            try:
                assert server.stdout is not None
                address = re.search(r"http://(\S+?:\d+)", server.stdout.readline())
                assert address is not None, "the server did not start"
                clients = asyncio.run(load(f"ws://{address[1]}", streams, arguments.rate))
            finally:
                server.terminate()
    return clients, expected, num_frames


def count_lost(clients: Sequence[Client], expected: Sequence[list[dict[str, object]]]) -> int:
    """Events that are missing, too many or others."""
    lost = 0
    for client, events in zip(clients, expected, strict=True):
        lost += abs(len(client.events) - len(events))
        lost += sum(not same(*pair) for pair in zip(client.events, events, strict=False))
    return lost


def report(
    arguments: argparse.Namespace, clients: list[Client], expected: list[list[dict[str, object]]], num_frames: int
) -> None:
    """Prints the table; ends with status 1 where an event is missing or the goal is missed."""
    latencies = np.concatenate([client.latencies for client in clients]) * 1000
    num_expected = sum(len(events) for events in expected)
    lost = count_lost(clients, expected)
    p50, p95, p99 = np.percentile(latencies, (50, 95, 99))
    columns = "clients, frames/s each, frames, answered, dropped, events, lost or wrong, p50, p95, p99, most"
    print(f"| {columns.replace(', ', ' | ')} |")
    print("|---" * 11 + "|")
    print(
        f"| {len(clients)} | {arguments.rate:g} | {num_frames * len(clients)} | {len(latencies)} "
        f"| {sum(client.dropped for client in clients)} | {num_expected} | {lost} "
        f"| {p50:.0f} ms | {p95:.0f} ms | {p99:.0f} ms | {latencies.max():.0f} ms |"
    )
    print(f"on {arguments.cores} cores; load average {os.getloadavg()[0]:.1f}")
    if lost or p95 > LATENCY_GOAL_MS:
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)
