import pytest

from sign_keras.inference import file_stream
from sign_keras.inference.file_stream import FRAMES_AHEAD, events_of_file, seen_frames
from sign_keras.inference.stream import SignStream
from tests.sign_keras.inference.landmark_streams import RATE, Recogniser, stream
from tfrecords_tools.video import VideoError, open_video


class Process:
    """Finds what ``stream`` has for each frame, in order; the frames themselves are not looked at."""

    most = 0

    def __init__(self):
        self.found, self.waiting = stream(), 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def send(self, image):
        assert image.shape == (48, 64, 3)
        self.waiting += 1
        Process.most = max(self.most, self.waiting)

    def receive(self):
        self.waiting -= 1
        return next(self.found)[1]


@pytest.fixture
def video(monkeypatch, make_video, tmp_path):
    monkeypatch.setattr(file_stream, "LandmarkProcess", Process)
    return make_video(tmp_path / "a.mp4", num_frames=len(list(stream())), frame_rate=RATE)


def test_a_file_says_what_its_frames_say(video):
    artefact = Recogniser()
    engine, process, expected = SignStream(artefact), Process(), []
    with open_video(video) as opened:
        for frame in opened.frames:
            process.send(frame.image)
            expected += engine.push(frame.seconds, process.receive(), frame.image)
    expected += engine.finish()
    assert [event.gloss for event in expected if event.kind == "sign"] == ["up", "aside"]
    assert list(events_of_file(video, artefact)) == expected


def test_landmarks_are_looked_for_a_few_frames_ahead_and_no_more(video):
    Process.most = 0
    seen = list(seen_frames(video))
    assert len(seen) == len(list(stream()))
    assert [frame.seconds for frame in seen] == sorted(frame.seconds for frame in seen)
    assert Process.most == FRAMES_AHEAD + 1


def test_a_file_that_breaks_off_is_named(video):
    video.write_bytes(video.read_bytes()[:1500])
    with pytest.raises(VideoError, match=r"a\.mp4"):
        list(events_of_file(video, Recogniser()))
