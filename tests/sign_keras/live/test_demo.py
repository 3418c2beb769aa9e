import json
import os
import subprocess
import sys

import numpy as np
import pytest

from sign_keras.demo import main
from sign_keras.inference.file_stream import events_of_file
from sign_keras.inference.loading import load_artefact
from sign_keras.inference.stream import SignStream
from sign_keras.live.drawing import BEST, PANEL_WIDTH
from tests.conftest import REPOSITORY
from tests.sign_keras.live.rendered_signs import GLOSSES, make_run, render
from tfrecords_tools.keypoints import HolisticExtractor
from tfrecords_tools.video import open_video


@pytest.fixture(scope="module")
def model(tiny_keypoint_records, tmp_path_factory):
    return make_run(tiny_keypoint_records, tmp_path_factory.mktemp("live") / "two_signs").directory


def pictures(path):
    with open_video(path) as video:
        return [frame.image for frame in video.frames]


def test_help_has_an_example_and_loads_no_tensorflow(assert_help_is_quick):
    assert_help_is_quick("sign_keras.demo")


@pytest.mark.parametrize("gloss", [GLOSSES[0], pytest.param(GLOSSES[1], marks=pytest.mark.slow)])
def test_a_rendered_sign_is_recognised_and_drawn(model, gloss, tmp_path, run_main):
    num_frames = render(tmp_path / "sign.mp4", [gloss], signer_index=20)
    output = tmp_path / "seen.mp4"
    arguments = ("--model", model, "--video", tmp_path / "sign.mp4", "--no-window", "--output", output, "--json")
    status, stdout, stderr = run_main(main, *arguments)
    assert (status, stderr) == (0, "")
    events = [json.loads(line) for line in stdout.splitlines()]
    assert [event["kind"] for event in events] == ["sign_started", "sign", "sign_ended"]
    assert events[1]["gloss"] == gloss
    assert events[1]["confidence"] > 0.5
    drawn = pictures(output)
    assert len(drawn) == num_frames
    # The best gloss's bar: none before anything is signed, and one at the end.
    green = [
        np.abs(picture[:, -PANEL_WIDTH:].astype(int) - BEST).max(axis=-1).min() for picture in (drawn[0], drawn[-1])
    ]
    assert green[0] > 60
    assert green[1] < 30


@pytest.mark.slow
def test_frame_by_frame_a_stream_says_what_the_file_says(model, tmp_path):
    render(tmp_path / "signs.mp4", GLOSSES, signer_index=21)
    artefact = load_artefact(model)
    extractor, engine, events = HolisticExtractor(), SignStream(artefact), []
    extractor.start_clip()
    with open_video(tmp_path / "signs.mp4") as video:
        for frame in video.frames:
            events += engine.push(frame.seconds, extractor.find_landmarks(frame.image), frame.image)
    events += engine.finish()
    assert events
    assert list(events_of_file(tmp_path / "signs.mp4", artefact)) == events


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "{missing}", "--video", "{text}"], "no such file or directory"),
        (["--model", "{model}", "--video", "{missing}"], "no such file"),
        (["--model", "{model}", "--video", "{text}"], "cannot be opened as a video"),
        (["--model", "{model}", "--camera", "97"], "camera 97: cannot be opened"),
        (["--model", "{model}", "--camera", "-1"], "cameras are counted from 0"),
        (["--model", "{model}", "--video", "{text}", "--output", "a.avi"], "must be a name that ends in .mp4"),
        (["--model", "{model}", "--video", "{text}", "--output", "{missing}/a.mp4"], "there is no folder"),
        (["--model", "{model}", "--set", "hold=1"], "hold: unknown key"),
        (["--model", "{model}", "--seconds", "0"], "--seconds 0: must be above 0"),
    ],
)
def test_mistakes_are_one_line(arguments, message, tmp_path, run_main):
    run, text = tmp_path / "run", tmp_path / "a.mp4"
    run.mkdir()
    (run / "config.yaml").write_text("name: a\n")  # looked at once the others are right
    text.write_text("no video")
    names = {"model": run, "text": text, "missing": tmp_path / "missing"}
    status, stdout, stderr = run_main(main, "--no-window", *(word.format(**names) for word in arguments))
    assert (status, stdout) == (2, "")
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert message in stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_one_line_says_so(tmp_path, make_video):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("name: a\n")
    video = make_video(tmp_path / "a.mp4")
    hidden = {name: value for name, value in os.environ.items() if "DISPLAY" not in name and "QT_" not in name}
    ran = subprocess.run(
        [sys.executable, "-m", "sign_keras.demo", "--model", str(tmp_path / "run"), "--video", str(video)],
        env=hidden | {"DISPLAY": ":97531", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "error: no window can be opened here (no display?); --no-window does without\n"
