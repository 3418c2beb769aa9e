"""A thousand requests that no well-meaning client sends: the real server must answer each with a reason."""

import asyncio
import random
import re
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import httpx2
import hypothesis
import numpy as np
import psutil
import pytest
import schemathesis
import websockets

from tests.conftest import REPOSITORY, moving_square
from tests.sign_keras.export.tiny_export import make_run
from tfrecords_tools.video import write_video

# Of one request, in seconds, on a busy machine: what a file asks for does not decide how long it takes.
LONGEST = 60.0
MOST_GROWTH_MB = 60

pytestmark = pytest.mark.slow


class Server:
    """The real command in a process of its own."""

    def __init__(self, model: Path) -> None:
        settings = ("upload.per_minute=1e9", "upload.megabytes=2", "upload.seconds=5", "upload.frames=100")
        settings += ("upload.readers=1", "live.cameras=1")
        command = [sys.executable, "-m", "sign_keras.serve", "--model", model, "--port", "0"]
        command += [part for setting in settings for part in ("--set", setting)]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = re.search(r"http://[^ ]+:\d+", self.process.stdout.readline())[0]
        self.client = httpx2.Client(base_url=self.address, timeout=2 * LONGEST)
        self.statuses: Counter[int] = Counter()

    def note(self, status: int, what: object) -> None:
        """Counts an answer, which must be no fault of the server."""
        assert 200 <= status < 500, (status, what)
        self.statuses[status] += 1

    def upload(self, name: str, content: bytes) -> int:
        """Sends a file; returns the status."""
        response = self.client.post("/predict", files={"file": (name, content)})
        self.note(response.status_code, (name, content[:40], response.text))
        if response.status_code != 200:
            assert isinstance(response.json()["detail"], str)
        return response.status_code

    def megabytes(self) -> float:
        """Memory of the server and its readers."""
        processes = [psutil.Process(self.process.pid)]
        processes += processes[0].children(recursive=True)
        return sum(process.memory_info().rss for process in processes) / 1e6


@pytest.fixture(scope="module")
def server(tiny_records, tmp_path_factory) -> Iterator[Server]:
    run, _ = make_run(tiny_records, tmp_path_factory.mktemp("robustness") / "runs" / "tiny")
    server = Server(run.directory)
    yield server
    server.process.terminate()
    assert server.process.wait(30) is not None


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    write_video(path, moving_square(20), 10)
    return path.read_bytes()


def bombs(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Small files that ask for much."""
    big = cv2.imencode(".jpg", np.zeros((12000, 12000), np.uint8))[1].tobytes()
    small = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    for name, frames in (("lies.mkv", [big[:1_500_000]]), ("grows.mkv", [small] * 9 + [big[:1_500_000]])):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
            for index, jpeg in enumerate(frames):
                packet = av.Packet(jpeg)
                packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 25), index, index
                container.mux(packet)
        yield name, (folder / name).read_bytes()
    for name, size, times in (("hours.mp4", 64, [0, 1, 900_000]), ("frames.mp4", 16, range(3000))):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream("libx264", rate=1000 if len(times) > 3 else 25)
            stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
            for seconds in times:
                frame = av.VideoFrame(size, size, "yuv420p")
                frame.pts = seconds
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        yield name, (folder / name).read_bytes()
    yield "huge.png", cv2.imencode(".png", np.zeros((20000, 20000), np.uint8))[1].tobytes()
    yield "playlist.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    yield "concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield "description.mp4", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n"


def damaged(video: bytes, number: int, draws: random.Random) -> Iterator[bytes]:
    for _ in range(number):
        if draws.random() < 0.5:
            yield video[: draws.randrange(len(video))]
        else:
            content = bytearray(video)
            for _ in range(draws.randrange(1, 30)):
                content[draws.randrange(len(content))] = draws.randrange(256)
            yield bytes(content)


def test_a_thousand_malformed_requests(server, video, tmp_path):
    draws = random.Random(0)
    assert server.upload("a.mp4", video) == 200
    for content in damaged(video, 100, draws):
        server.upload("a.mp4", content)
    for name, content in bombs(tmp_path):
        for _ in range(3):
            began = time.monotonic()
            assert server.upload(name, content) in (413, 422), name
            assert time.monotonic() - began < LONGEST
    for name in (
        "../../etc/passwd",
        "/etc/passwd\x00.mp4",
        "a.mp4/..",
        "..\\..\\a.mp4",
        "%2e%2e/a.mp4",
        "a" * 9999,
    ):
        for suffix in ("", ".mp4", ".exe", ".m3u8", "\r\nX: y", "\u202egpj.mp4"):
            server.upload(name + suffix, video)
    # By now every kind of file was seen: the memory that they need is there, and no more should be needed.
    before = server.megabytes()
    for content in damaged(video, 500, draws):
        server.upload(draws.choice(("a.mp4", "a.webm", "a.avi", "a.png", "a", "a.jpg")), content)
    for path in (
        "/static/../../serve.py",
        "/static/%2e%2e/app.py",
        "/static/%00",
        "/%ff",
        "//x",
        "/predict/..",
        "/*",
    ):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"):
            response = server.client.request(method, path)
            server.note(response.status_code, (method, path))
            assert "import" not in response.text
    for _ in range(200):
        boundary = draws.choice((b"x", b"y", b""))
        body = draws.choice(
            (b"", b"--x", b"--x\r\n\r\n", b"--x--", b"--x\r\nContent-Disposition: form-data\r\n\r\n")
        )
        kind = draws.choice(("multipart/form-data; boundary=", "multipart/form-data;", "application/json;", ""))
        body += draws.randbytes(draws.randrange(200))
        headers = {"content-type": kind.encode() + boundary}
        server.note(server.client.post("/predict", content=body, headers=headers).status_code, (headers, body))
    server.note(server.client.post("/predict", content=bytes(5_000_000)).status_code, "large")

    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    quiet = (
        hypothesis.HealthCheck.too_slow,
        hypothesis.HealthCheck.filter_too_much,
        hypothesis.HealthCheck.data_too_large,
    )
    for operation in schema.get_all_operations():

        @hypothesis.settings(
            max_examples=130, deadline=None, database=None, derandomize=True, suppress_health_check=quiet
        )
        @hypothesis.given(case=operation.ok().as_strategy())
        def call(case):
            server.note(case.call(timeout=LONGEST).status_code, case)

        call()

    assert server.statuses.total() >= 1000, server.statuses
    assert server.upload("a.mp4", video) == 200
    assert server.megabytes() - before < MOST_GROWTH_MB
    assert server.process.poll() is None


def test_malformed_messages_end_connections_with_a_reason(server):
    draws = random.Random(0)
    codes: Counter[int | None] = Counter()
    messages: list[bytes | str] = [
        "",
        "[]",
        "null",
        "{",
        '{"type":"landmarks"}',
        b"",
        b"SKJ1",
        b"\xff\xd8",
        b"SKL1" + bytes(8),
    ]
    messages += [draws.randbytes(draws.randrange(1, 500)) for _ in range(60)]
    messages += [struct.pack("<4sd", b"SKJ1", draws.uniform(-1, 1)) + draws.randbytes(50) for _ in range(40)]
    messages += [bytes(2_000_000), "x" * 2_000_000]

    async def say(message: bytes | str) -> None:
        url = server.address.replace("http", "ws") + "/stream"
        async with websockets.connect(url, max_size=None) as socket:
            await socket.recv()
            await socket.send(message)
            try:
                answer = await asyncio.wait_for(socket.recv(), LONGEST)
                assert '"reason"' in answer
                if '"type":"skipped"' in answer:
                    return
                await asyncio.wait_for(socket.recv(), LONGEST)
            except websockets.ConnectionClosed:
                codes[socket.close_code] += 1

    async def say_all() -> None:
        for message in messages:
            await say(message)

    asyncio.run(say_all())
    assert set(codes) == {1003, 1009}
    assert server.client.get("/health").status_code == 200
