"""The page in a real browser, whose camera is a rendered signer: make test-browser."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from sign_keras.inference.loading import load_artefact
from sign_keras.inference.predictor import Predictor
from tests.conftest import REPOSITORY
from tests.sign_keras.toy_training import run_train
from tfrecords_tools.convert import convert_source
from tfrecords_tools.synthesize import synthesize
from tfrecords_tools.video import open_video

GLOSSES = ("hello", "no", "work")
TOY = {
    "name": "page",
    "seed": 1,
    "sampling": {"num_frames": 16, "height": 32, "width": 32},
    "data": {"cache": "memory", "augment": {"speed": 0.3}},
    "model": {
        "architecture": "keypoint_gru",
        "features": {"points": "hands_pose"},
        "units": [64],
        "input_norm": True,
        "dropout": 0.2,
    },
    "train": {"epochs": 25, "batch_size": 4, "learning_rate": 0.003, "early_stopping_patience": 25},
    "evaluate": {"bootstrap_samples": 100},
}
# What the camera shows goes slower than life, lest a busy machine sees too little of it.
SLOWER = 0.6
SIZES = {"desktop": (1280, 820), "phone": (390, 844)}
# Set to a file's name, it takes the picture of the README.
PICTURE_VARIABLE = "SERVE_PICTURE"
PATIENCE_MS = 240_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on this machine: make test-browser says how to get it")
    pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'sign_keras[browser]'")
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four rendered signers, who sign each gloss twice."""
    root = tmp_path_factory.mktemp("videos")
    synthesize(root, signers=4, clips_per_gloss=2, seed=5, glosses=GLOSSES, size=240)
    return root


@pytest.fixture(scope="module")
def model(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows these clips: it is the page that is tested, not who else is understood."""
    root = tmp_path_factory.mktemp("page")
    settings = {"frames": False, "split": {"by": "clip", "validation": 0.1, "test": 0.1}}
    convert_source("synthetic", videos, root / "records", settings)
    assert run_train(root, root / "records", TOY) == 0
    return root / "runs" / "page"


@pytest.fixture(scope="module")
def clip(videos: Path, model: Path) -> Path:
    """Somebody signs "work", and of these clips the model is surest of it."""
    paths = [str(path) for path in sorted(videos.glob("clips/work/*.mp4"))]
    answers = list(Predictor(load_artefact(model), top_k=len(GLOSSES)).predict(paths))
    shares = [{item.gloss: item.probability for item in answer.glosses}["work"] for answer in answers]
    assert answers[shares.index(max(shares))].accepted
    return Path(paths[shares.index(max(shares))])


def write_camera(clip: Path, path: Path) -> Path:
    """A clip as Chromium's camera plays it over and over: uncompressed, with a rest at both ends."""
    with open_video(clip) as video:
        rate = video.frame_rate
        frames = [frame.image for frame in video.frames]
    frames = [frames[0]] * round(rate) + frames + [frames[-1]] * round(rate)
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{round(rate * SLOWER)}:1 Ip A1:1 C420jpeg\n".encode())
        for image in frames:
            planes = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p").to_ndarray()
            file.write(b"FRAME\n" + np.ascontiguousarray(planes).tobytes())
    return path


@contextmanager
def serving(model: Path, *arguments: str) -> Iterator[str]:
    """The address of the real command's server."""
    command = [sys.executable, "-m", "sign_keras.serve", "--model", model, "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
        finally:
            process.terminate()


def words(page) -> list[str]:
    return page.locator("#text span").all_inner_texts()


def is_drawn_upon(page) -> bool:
    return page.evaluate(
        "[...overlay.getContext('2d').getImageData(0, 0, overlay.width, overlay.height).data].some(Boolean)"
    )


def test_the_page_says_what_the_camera_shows(model, clip, chromium, tmp_path):
    from playwright.sync_api import sync_playwright

    camera = write_camera(clip, tmp_path / "camera.y4m")
    with serving(model, "--token", "s3cret") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-video-capture={camera}",
            ],
        )
        page = browser.new_page(viewport=dict(zip(("width", "height"), SIZES["desktop"], strict=True)))
        asked, faults = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console", lambda message: faults.append(message.text) if "Content Security" in message.text else None
        )

        page.goto(address)
        page.wait_for_selector("#token-form:not([hidden])")
        page.fill("#token", "s3cret")
        page.click("#token-form button")
        page.wait_for_selector("#token-form", state="hidden")
        assert "3 glosses" in page.inner_text("#model")

        page.click("#camera")
        page.locator("#text span").nth(2).wait_for(timeout=PATIENCE_MS)
        assert is_drawn_upon(page)
        (gloss, count), *_ = Counter(words(page)).most_common()
        assert (gloss, count >= 2) == ("work", True), words(page)
        assert page.inner_text("#bars .gloss >> nth=0") in GLOSSES
        assert " a second" in page.inner_text("#status")
        for name, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            assert page.locator("#camera").bounding_box()["height"] >= 44
        page.set_viewport_size(dict(zip(("width", "height"), SIZES["desktop"], strict=True)))
        if PICTURE_VARIABLE in os.environ:
            take_pictures(page, Path(os.environ[PICTURE_VARIABLE]))
        page.click("#camera")
        assert page.inner_text("#status") == "Stopped."

        page.click("#clear")
        page.set_input_files("#file", clip)
        page.click("#read")
        page.locator("#text span").first.wait_for(timeout=PATIENCE_MS)
        assert words(page) == ["work"]
        browser.close()
    own = (address, address.replace("http", "ws"), "blob:", "data:")
    assert asked
    assert [url for url in asked if not url.startswith(own)] == []
    assert faults == []


def take_pictures(page, path: Path) -> None:
    """While somebody signs; and in a phone's size, beside it."""
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_selector("#stage.active", timeout=PATIENCE_MS)
        page.wait_for_timeout(500)
        page.screenshot(path=path.with_stem(path.stem if name == "desktop" else f"{path.stem}_{name}"))
