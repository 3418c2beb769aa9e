"""Decoding and encoding video with PyAV, whatever the codec, rotation or frame timing.

A *video* is a file; a *span* of it is a clip. Frames leave here upright, RGB, uint8 ``[H, W, 3]``.
An image (``IMAGE_SUFFIXES``) and a folder of images read like a video, so static signs and datasets of frames take
the same path.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from natsort import natsorted
from PIL import Image

from tfrecords_tools.command_line import UserError

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp", ".ogv")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")

# FFmpeg's names of the formats behind these suffixes, and of animated images.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,ogg,flv,h264,hevc,m4v,mjpeg,gif,apng,"
    "webp_pipe,png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe"
)

# A video may hold a frame or two fewer than its header says; more than this is a broken file.
NORMAL_SHORTFALL_FRAMES = 2
NORMAL_SHORTFALL_SHARE = 0.05


class VideoError(UserError):
    """A video that cannot be read whole."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Span:
    """Which part of a video is the clip. Frames count from 0 and the end is exclusive; None is no bound."""

    start_seconds: float | None = None
    end_seconds: float | None = None
    start_frame: int | None = None
    end_frame: int | None = None


WHOLE_VIDEO = Span()


@dataclass(frozen=True)
class VideoLimits:
    """How much of a stranger's video is read, lest a small file asks for all memory or all day.

    With limits, a file is only taken for what it holds: FFmpeg's playlists and the like, which open other files or
    addresses, are none of ``CONTAINERS``.

    Attributes:
        pixels: of a frame.
        seconds: from the first frame to the last.
        frames: in all.
    """

    pixels: int
    seconds: float
    frames: int


DEFAULT_FRAME_RATE = 25.0


@dataclass(frozen=True)
class Frame:
    """One upright frame. ``image``: uint8 RGB ``[H, W, 3]``; ``seconds`` since the video's first frame."""

    image: np.ndarray
    seconds: float


@dataclass
class VideoStream:
    """An open video: its nominal rate, and the iterator over its frames."""

    frame_rate: float
    frames: Iterator[Frame]


@contextlib.contextmanager
def open_video(
    path: str | Path,
    span: Span = WHOLE_VIDEO,
    frame_rate: float | None = None,
    limits: VideoLimits | None = None,
) -> Iterator[VideoStream]:
    """Opens a video, an image or a folder of images for one pass over the frames of a span.

    Args:
        path: to read. A folder's images are its frames, in natural order (``frame_2`` before ``frame_10``).
        span: which part.
        frame_rate: of a folder of images, frames per second; 25 when None. Videos know theirs.
        limits: of a video or an image by a stranger; None where it is trusted.

    Raises:
        VideoError: the file is missing, empty, no video, or beyond the limits; or, while iterating, decoding
            fails, or the video breaks off clearly before its header or the span says it should.
    """
    path = Path(path)
    if path.is_dir():
        rate = frame_rate or DEFAULT_FRAME_RATE
        yield VideoStream(frame_rate=rate, frames=_read_folder(path, span, rate))
        return
    if not path.is_file():
        raise VideoError(path, "no such file")
    if path.stat().st_size == 0:
        raise VideoError(path, "is empty (0 bytes)")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        yield VideoStream(frame_rate=0.0, frames=iter([Frame(_read_image(path, limits), 0.0)]))
        return
    try:
        container = av.open(str(path), options=_opening(limits))
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(path, f"cannot be opened as a video ({_reason(error)})") from None
    with container:
        if not container.streams.video:
            raise VideoError(path, "holds no video stream")
        stream = container.streams.video[0]
        # Workers are the parallelism here: decoder threads would only fight over the same cores.
        stream.codec_context.thread_count = 1
        if limits is not None:
            stream.codec_context.options = {"max_pixels": str(limits.pixels)}
            _check_size(path, stream.width, stream.height, limits)
            _check_length(path, 0, _promised_seconds(container, stream), limits)
        yield VideoStream(
            frame_rate=float(stream.average_rate or stream.guessed_rate or 0),
            frames=_decode(container, stream, path, span, limits),
        )


def _opening(limits: VideoLimits | None) -> dict[str, str] | None:
    if limits is None:
        return None
    # Opening looks into the first frames, so their size is bounded there already.
    return {"max_pixels": str(limits.pixels), "format_whitelist": CONTAINERS, "protocol_whitelist": "file"}


def _check_size(path: str | Path, width: int, height: int, limits: VideoLimits) -> None:
    if width * height > limits.pixels:
        raise VideoError(path, f"has frames of {width}x{height}; at most {limits.pixels:,} pixels are taken")


def _check_length(path: Path, index: int, seconds: float, limits: VideoLimits) -> None:
    if seconds > limits.seconds:
        raise VideoError(path, f"goes on for {seconds:.1f} s; at most {limits.seconds:g} s are taken")
    if index >= limits.frames:
        raise VideoError(path, f"has more than {limits.frames} frames; no more are taken")


def _read_folder(path: Path, span: Span, frame_rate: float) -> Iterator[Frame]:
    files = natsorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    if not files:
        raise VideoError(path, "the folder holds no image")
    for index, file in enumerate(files):
        seconds = index / frame_rate
        if _is_after(span, index, seconds):
            return
        if not _is_before(span, index, seconds):
            try:
                yield Frame(_read_image(file), seconds)
            except VideoError as error:
                raise VideoError(path, f"{file.name}: {error.reason}") from None
    _check_span(path, span, len(files), len(files) / frame_rate)


def _read_image(path: Path, limits: VideoLimits | None = None) -> np.ndarray:
    try:
        return decode_image(path.read_bytes(), limits)
    except VideoError as error:
        raise VideoError(path, error.reason) from None


def decode_image(content: bytes, limits: VideoLimits | None = None) -> np.ndarray:
    """An image file's bytes as uint8 RGB ``[H, W, 3]``, upright.

    Raises:
        VideoError: it is no image, breaks off, or is beyond the limits.
    """
    if limits is not None:
        _check_size("image", *_size_of_image(content), limits)
    is_jpeg = content.startswith(b"\xff\xd8")
    if is_jpeg and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        # The decoder would fill what is missing with grey and say nothing.
        raise VideoError("image", "breaks off: the JPEG has no end marker after its last scan")
    # Orientation from EXIF is applied; IMREAD_COLOR drops alpha and turns grey into three channels.
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        raise VideoError("image", "cannot be read as an image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _size_of_image(content: bytes) -> tuple[int, int]:
    """Width and height by the header; no pixel is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                return image.size
    except Image.DecompressionBombError:
        reason = "is larger than any picture should be"
    except Exception:  # its decoders raise whatever a damaged header makes them stumble on
        reason = "cannot be read as an image"
    raise VideoError("image", reason)


def _decode(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    path: Path,
    span: Span,
    limits: VideoLimits | None,
) -> Iterator[Frame]:
    index, first_pts, end_seconds = -1, None, 0.0
    interval = 1 / float(stream.average_rate) if stream.average_rate else 0.0
    try:
        for frame in container.decode(stream):
            index += 1
            first_pts = frame.pts if first_pts is None else first_pts
            if frame.pts is None or first_pts is None:
                seconds = index * interval
            else:
                seconds = float((frame.pts - first_pts) * (frame.time_base or stream.time_base or 0))
            end_seconds = seconds + interval
            if limits is not None:
                _check_size(path, frame.width, frame.height, limits)
                _check_length(path, index, seconds, limits)
            if _is_after(span, index, seconds):
                return
            if not _is_before(span, index, seconds):
                yield Frame(_upright(frame), seconds)
    except (av.error.FFmpegError, ValueError) as error:
        limit = f"; frames of more than {limits.pixels:,} pixels are not taken" if limits else ""
        raise VideoError(path, f"breaks off after {index + 1} frames ({_reason(error)}){limit}") from None
    start_time = float((first_pts or 0) * (stream.time_base or 0))
    _check_header(container, stream, path, index + 1, max(0.0, start_time) + end_seconds)
    _check_span(path, span, index + 1, end_seconds)


def _is_before(span: Span, index: int, seconds: float) -> bool:
    # Half a millisecond of slack: spans written with three decimals must not lose their first frame.
    return (span.start_frame is not None and index < span.start_frame) or (
        span.start_seconds is not None and seconds < span.start_seconds - 5e-4
    )


def _is_after(span: Span, index: int, seconds: float) -> bool:
    return (span.end_frame is not None and index >= span.end_frame) or (
        span.end_seconds is not None and seconds >= span.end_seconds - 5e-4
    )


def _check_header(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    path: Path,
    num_frames: int,
    end_time: float,
) -> None:
    """Raises ``VideoError`` when the video ended, at ``end_time``, clearly before its header says."""
    if num_frames == 0:
        raise VideoError(path, "holds no frame that decodes")
    slack = max(NORMAL_SHORTFALL_FRAMES, NORMAL_SHORTFALL_SHARE * stream.frames)
    if stream.frames and num_frames < stream.frames - slack:
        raise VideoError(path, f"breaks off: {num_frames} frames decode, its header promises {stream.frames}")
    if not stream.frames:
        promised = _promised_seconds(container, stream)
        if end_time < promised * (1 - NORMAL_SHORTFALL_SHARE) - 0.5:
            raise VideoError(path, f"breaks off at {end_time:.2f} s, its header promises {promised:.2f} s")


def _promised_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Duration by the header; 0 where it says nothing about the pictures."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    # Matroska may state the file's duration only: with sound beside the pictures, that of the sound.
    if container.duration is None or len(container.streams) > 1:
        return 0.0
    return container.duration / av.time_base


def _check_span(path: Path, span: Span, num_frames: int, end_seconds: float) -> None:
    """Raises ``VideoError`` when the video ended clearly before the clip does."""
    if span.end_frame is not None and num_frames < span.end_frame - NORMAL_SHORTFALL_FRAMES:
        raise VideoError(path, f"has {num_frames} frames, but the clip should end at frame {span.end_frame}")
    if span.end_seconds is not None and end_seconds < span.end_seconds - 0.5:
        raise VideoError(path, f"ends at {end_seconds:.2f} s, but the clip at {span.end_seconds:.2f} s")


def _upright(frame: av.VideoFrame) -> np.ndarray:
    image = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4  # display matrix: counter-clockwise degrees
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def write_video(path: str | Path, frames: Iterable[np.ndarray], frame_rate: float, crf: int = 20) -> int:
    """Encodes frames as H.264 mp4, under a temporary name until whole.

    Args:
        path: the file to write.
        frames: uint8 RGB ``[H, W, 3]``, all of one size; H and W even.
        frame_rate: frames per second.
        crf: libx264's constant rate factor: 0 lossless, 51 worst.

    Returns:
        The number of frames written.

    Raises:
        ValueError: no frame, or an odd height or width.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix or '.mp4'}")
    count = 0
    try:
        with av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream: av.VideoStream | None = None
            for image in frames:
                if stream is None:
                    height, width = image.shape[:2]
                    if height % 2 or width % 2:
                        raise ValueError(f"H.264 needs even sizes, got {width}x{height}")
                    stream = container.add_stream("libx264", rate=Fraction(frame_rate).limit_denominator(1001))
                    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                    # Macroblock-tree rate control gives other bytes from run to run for the same frames.
                    stream.options = {"crf": str(crf), "preset": "veryfast", "x264-params": "mbtree=0"}
                    stream.codec_context.thread_count = 1  # the same bytes on every machine
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                count += 1
            if stream is None:
                raise ValueError("no frame to write")
            container.mux(stream.encode())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count
