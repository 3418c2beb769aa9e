import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tfrecords_tools.video import Span, VideoError, VideoLimits, open_video, write_video


def read(path: Path, span: Span | None = None) -> tuple[list[np.ndarray], list[float]]:
    with open_video(path, span or Span()) as video:
        frames = list(video.frames)
    return [frame.image for frame in frames], [frame.seconds for frame in frames]


def encode(path, frames, codec, pix_fmt="yuv420p", *, rate=25, pts=None, options=None):
    """Writes a video in any codec; ``pts`` in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        for index, image in enumerate(frames):
            if index == 0:
                stream.height, stream.width, stream.pix_fmt = *image.shape[:2], pix_fmt
                if pts:
                    stream.codec_context.time_base = Fraction(1, 1000)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if pts:
                frame.time_base, frame.pts = Fraction(1, 1000), pts[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def square_left(image: np.ndarray) -> int:
    """Left edge of the white square."""
    return int(np.argmax((image.min(axis=2) > 180).any(axis=0)))


def test_write_then_read(tmp_path, make_frames):
    frames = list(make_frames(num_frames=12))
    assert write_video(tmp_path / "a.mp4", frames, 30) == 12
    images, seconds = read(tmp_path / "a.mp4")
    assert len(images) == 12
    np.testing.assert_allclose(seconds, np.arange(12) / 30, atol=1e-6)
    for written, image in zip(frames, images, strict=True):
        assert image.dtype == np.uint8
        assert np.abs(written.astype(int) - image).mean() < 4
    with open_video(tmp_path / "a.mp4") as video:
        assert video.frame_rate == 30
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_write_refuses_nothing_and_odd_sizes(tmp_path, make_frames):
    with pytest.raises(ValueError, match="no frame"):
        write_video(tmp_path / "a.mp4", [], 25)
    with pytest.raises(ValueError, match="even sizes, got 63x48"):
        write_video(tmp_path / "a.mp4", make_frames(width=63), 25)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "options"),
    [
        ("a.webm", "libvpx-vp9", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
        ("a.webm", "libvpx", "yuv420p", {"deadline": "realtime", "cpu-used": "8"}),
        ("a.avi", "mpeg4", "yuv420p", {}),
        ("a.avi", "mjpeg", "yuvj420p", {}),
        ("a.mkv", "ffv1", "bgr0", {}),
        ("a.mpg", "mpeg2video", "yuv420p", {}),
        ("a.mp4", "libx265", "yuv420p", {"x265-params": "log-level=none", "preset": "ultrafast"}),
        ("a.mov", "libx264", "yuv444p", {"preset": "ultrafast"}),
    ],
)
def test_codecs(tmp_path, make_frames, name, codec, pix_fmt, options):
    if codec not in av.codecs_available:
        pytest.skip(f"this build has no {codec}")
    encode(tmp_path / name, make_frames(num_frames=10), codec, pix_fmt, options=options)
    images, seconds = read(tmp_path / name)
    assert len(images) == 10
    np.testing.assert_allclose(seconds, np.arange(10) / 25, atol=2e-3)
    assert [square_left(image) for image in images] == pytest.approx(np.linspace(0, 52, 10), abs=3)


def test_variable_frame_rate_keeps_its_timing(tmp_path, make_frames):
    pts = [0, 40, 80, 300, 310, 700]
    path = encode(tmp_path / "a.mkv", make_frames(num_frames=6), "libx264", pts=pts)
    _, seconds = read(path)
    np.testing.assert_allclose(seconds, np.array(pts) / 1000, atol=1e-3)
    _, seconds = read(path, Span(start_seconds=0.08, end_seconds=0.31))
    np.testing.assert_allclose(seconds, [0.08, 0.3], atol=1e-3)


def test_time_starts_with_the_first_frame(tmp_path, make_frames):
    path = encode(tmp_path / "a.mkv", make_frames(num_frames=3), "libx264", pts=[5000, 5040, 5080])
    np.testing.assert_allclose(read(path)[1], [0, 0.04, 0.08], atol=1e-3)


@pytest.mark.parametrize(
    ("span", "first", "count"),
    [
        (Span(start_frame=3, end_frame=7), 3, 4),
        (Span(start_frame=3), 3, 7),
        (Span(end_frame=1), 0, 1),
        (Span(start_seconds=0.12, end_seconds=0.28), 3, 4),
        (Span(start_seconds=0.121), 4, 6),
        (Span(end_seconds=0.04), 0, 1),
        (Span(start_seconds=0.08, end_frame=5), 2, 3),
        (Span(end_frame=11), 0, 10),  # a frame more than there are: as annotators count
    ],
)
def test_spans(tmp_path, make_video, span, first, count):
    path = make_video(tmp_path / "a.mp4", num_frames=10)
    whole, _ = read(path)
    images, seconds = read(path, span)
    assert len(images) == count
    np.testing.assert_array_equal(images[0], whole[first])
    assert seconds[0] == pytest.approx(first / 25)


@pytest.mark.parametrize("span", [Span(end_frame=40), Span(end_seconds=3.0), Span(start_frame=30, end_frame=40)])
def test_span_beyond_the_end_is_an_error(tmp_path, make_video, span):
    path = make_video(tmp_path / "a.mp4", num_frames=10)
    with pytest.raises(VideoError, match=r"has 10 frames, but|ends at 0\.40 s, but"):
        read(path, span)


def rotate_header(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Sets the display matrix of an mp4's track header, as phones do."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    content[start : start + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((1, 0, 0, 1), 0), ((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],
    ids=["upright", "clockwise", "upside down", "counter-clockwise"],
)
def test_rotation_is_applied(tmp_path, make_video, matrix, turns):
    path = make_video(tmp_path / "a.mp4", num_frames=3)
    stored, _ = read(path)
    rotate_header(path, *matrix)
    images, _ = read(path)
    for before, after in zip(stored, images, strict=True):
        np.testing.assert_array_equal(after, np.rot90(before, turns))
        assert after.flags.c_contiguous


def test_one_frame_video(tmp_path, make_video):
    images, seconds = read(make_video(tmp_path / "a.mp4", num_frames=1))
    assert len(images) == 1
    assert seconds == [0]


def test_truncated_video_is_named(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", num_frames=60)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with pytest.raises(VideoError, match=r"a\.mp4: breaks off"):
        read(path)


def test_truncated_matroska_is_named(tmp_path, make_frames):
    path = encode(tmp_path / "a.mkv", make_frames(num_frames=100), "mjpeg", "yuvj420p")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.5)])
    with pytest.raises(VideoError, match="breaks off"):
        read(path)


@pytest.mark.parametrize(("missing", "fine"), [(1, True), (2, True), (5, False)])
def test_a_frame_or_two_fewer_than_promised_is_normal(tmp_path, make_video, monkeypatch, missing, fine):
    path = make_video(tmp_path / "a.mp4", num_frames=20)
    content = path.read_bytes()
    # The sample count of the size table is what the header promises.
    at = content.index(b"stsz") + 12
    count = struct.unpack(">I", content[at : at + 4])[0]
    assert count == 20
    real = av.container.InputContainer.decode

    class Short:
        """An input whose last frames do not come."""

        def __init__(self, container):
            self._container = container

        def __getattr__(self, name):
            return getattr(self._container, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._container.close()

        def decode(self, stream):
            yield from list(real(self._container, stream))[: count - missing]

    opened = av.open
    monkeypatch.setattr(av, "open", lambda *arguments, **options: Short(opened(*arguments, **options)))
    if fine:
        assert len(read(path)[0]) == count - missing
    else:
        with pytest.raises(VideoError, match="15 frames decode, its header promises 20"):
            read(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"not a video at all\n" * 100, "cannot be opened as a video"),
        ("empty.mp4", b"", r"is empty \(0 bytes\)"),
        ("text.jpg", b"not an image", "cannot be read as an image"),
        ("empty.png", b"", r"is empty \(0 bytes\)"),
    ],
)
def test_files_that_are_none(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=message):
        read(tmp_path / name)


def test_missing_file_and_folder(tmp_path):
    for path, message in ((tmp_path / "nowhere.mp4", "no such file"), (tmp_path, "the folder holds no image")):
        with pytest.raises(VideoError, match=message):
            read(path)


def test_sound_without_pictures(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="holds no video stream"):
        read(tmp_path / "a.mp4")


def exif_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that states an orientation and nothing else."""
    tiff = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_exif_rotation_of_images(tmp_path, make_frames, orientation, turns):
    image = next(make_frames())
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    (tmp_path / "plain.jpg").write_bytes(jpeg)
    (tmp_path / "turned.JPG").write_bytes(exif_orientation(jpeg, orientation))
    (plain,), _ = read(tmp_path / "plain.jpg")
    (turned,), seconds = read(tmp_path / "turned.JPG")
    np.testing.assert_array_equal(turned, np.rot90(plain, turns))
    assert seconds == [0]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tiff"])
def test_image_types(tmp_path, make_frames, suffix):
    image = next(make_frames()).copy()
    image[0, 0] = (200, 10, 30)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])
    (found,), _ = read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_image_is_named(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    content = cv2.imencode(suffix, noise)[1].tobytes()
    (tmp_path / f"a{suffix}").write_bytes(content[: len(content) // 2])
    with pytest.raises(VideoError):
        read(tmp_path / f"a{suffix}")


def test_a_folder_of_images_reads_like_a_video(tmp_path):
    """In natural order, at the rate given, spans included; other files do not count."""
    for number in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"frame_{number}.png"), np.full((12, 16, 3), number, np.uint8))
    (tmp_path / "notes.txt").touch()
    with open_video(tmp_path, frame_rate=10) as video:
        frames = list(video.frames)
    assert video.frame_rate == 10
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 10]
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.1, 0.2])
    with open_video(tmp_path, Span(start_frame=1, end_frame=2)) as video:
        assert [int(frame.image[0, 0, 0]) for frame in video.frames] == [2]
    (tmp_path / "frame_3.png").write_bytes(b"no picture")
    with pytest.raises(VideoError, match=r"frame_3\.png: cannot be read"), open_video(tmp_path) as video:
        list(video.frames)


LIMITS = VideoLimits(pixels=64 * 48, seconds=2, frames=30)


def read_limited(path: Path) -> int:
    with open_video(path, limits=LIMITS) as video:
        return sum(1 for _ in video.frames)


def mux_jpegs(path: Path, sizes: list[tuple[int, int]]) -> Path:
    """JPEGs of these heights and widths, in a container whose header promises 48 x 64."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for index, size in enumerate(sizes):
            packet = av.Packet(cv2.imencode(".jpg", np.zeros((*size, 3), np.uint8))[1].tobytes())
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = index
            container.mux(packet)
    return path


def test_limits_let_an_ordinary_video_through(make_video, tmp_path):
    assert read_limited(make_video(tmp_path / "a.mp4", num_frames=30)) == 30


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"width": 80}, "3,072 pixels"),
        ({"num_frames": 31}, "more than 30 frames"),
        ({"num_frames": 12, "frame_rate": 5}, "at most 2 s are taken"),
    ],
)
def test_limits_stop_at_size_frames_and_seconds(make_video, tmp_path, changes, reason):
    with pytest.raises(VideoError, match=reason):
        read_limited(make_video(tmp_path / "a.mp4", **changes))


@pytest.mark.parametrize("sizes", [[(4800, 6400)], [(48, 64)] * 5 + [(4800, 6400)]])
def test_limits_hold_where_the_header_lies_about_the_size(tmp_path, sizes):
    path = mux_jpegs(tmp_path / "a.mkv", sizes)
    with pytest.raises(VideoError, match="pixels are not taken"):
        read_limited(path)


def test_limits_hold_where_timestamps_leap(tmp_path, make_frames):
    path = encode(tmp_path / "a.mkv", list(make_frames(3)), "libx264", pts=[0, 40, 36_000_000])
    with pytest.raises(VideoError, match=r"goes on for 36000\.\d s"):
        read_limited(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_limits_hold_for_images(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), np.zeros((49, 64, 3), np.uint8))
    with pytest.raises(VideoError, match="frames of 64x49"):
        read_limited(path)


def test_with_limits_a_file_never_opens_another(make_video, tmp_path):
    make_video(tmp_path / "secret.mp4")
    concat = tmp_path / "concat.mp4"
    concat.write_text("ffconcat version 1.0\nfile secret.mp4\n")
    with open_video(concat) as video:  # it is a list that FFmpeg would follow
        assert sum(1 for _ in video.frames) == 8
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        read_limited(concat)
