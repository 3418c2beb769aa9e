"""What a server takes from strangers, and how much of it: typed and strict, with defaults that work."""

from pathlib import Path

import pydantic

from sign_keras.inference.stream_settings import StreamSettings
from tfrecords_tools.settings import Settings, apply_overrides, load_yaml, validate
from tfrecords_tools.video import VideoLimits


class UploadSettings(Settings):
    """Limits of ``POST /predict``.

    Attributes:
        megabytes: of a request's body.
        seconds: of a video, from its first frame to its last.
        frames: of a video.
        megapixels: of a frame; 8.9 lets 4096 x 2160 through.
        readers: videos read at the same time, each in a process of its own.
        waiting: further ones that may wait for a reader; more are answered 429.
        reading_seconds: how long reading a video may take; its process is ended then.
        arriving_seconds: how long a body may take to arrive.
        per_minute: requests of one address, on average; ten may come at once.
    """

    megabytes: float = pydantic.Field(64, gt=0)
    seconds: float = pydantic.Field(60, gt=0)
    frames: int = pydantic.Field(3600, ge=1)
    megapixels: float = pydantic.Field(8.9, gt=0)
    readers: int = pydantic.Field(2, ge=1)
    waiting: int = pydantic.Field(8, ge=0)
    reading_seconds: float = pydantic.Field(120, gt=0)
    arriving_seconds: float = pydantic.Field(120, gt=0)
    per_minute: float = pydantic.Field(60, gt=0)

    @property
    def video(self) -> VideoLimits:
        """Those of them that reading a video heeds."""
        return VideoLimits(round(self.megapixels * 1e6), self.seconds, self.frames)


class LiveSettings(Settings):
    """Limits of ``/stream``.

    Attributes:
        connections: open at the same time.
        connections_per_address: of these, from one address.
        cameras: of these, how many may send pictures: each has a process that finds landmarks.
        frames_per_second: of one connection, on average; two seconds' worth may come at once. What is beyond is
            dropped, and counted.
        waiting_pictures: of one connection; where more wait for the landmark process, the oldest are dropped, and
            counted.
        message_kilobytes: of one message.
        megapixels: of a picture.
        frame_seconds: how long one picture may take to be looked at; the connection is closed then.
        idle_seconds: a connection that says nothing for so long is closed.
        minutes: a connection that is older is closed.
    """

    connections: int = pydantic.Field(32, ge=1)
    connections_per_address: int = pydantic.Field(16, ge=1)
    cameras: int = pydantic.Field(4, ge=0)
    frames_per_second: float = pydantic.Field(60, gt=0)
    waiting_pictures: int = pydantic.Field(2, ge=1)
    message_kilobytes: float = pydantic.Field(1024, gt=0)
    megapixels: float = pydantic.Field(2.1, gt=0)
    frame_seconds: float = pydantic.Field(20, gt=0)
    idle_seconds: float = pydantic.Field(60, gt=0)
    minutes: float = pydantic.Field(60, gt=0)

    @property
    def picture(self) -> VideoLimits:
        """Those of them that decoding a picture heeds."""
        return VideoLimits(round(self.megapixels * 1e6), seconds=0, frames=1)


class ServeSettings(Settings):
    """Everything about a server but its model, address and secrets.

    Attributes:
        top_k: glosses in an answer.
        window_seconds: read uploads that are longer than a model of sentences takes by windows of this length;
            None: their middle alone, as ``predict`` does without ``--window``.
        allowed_origins: web pages of other servers that may use this one, such as ``https://example.org``.
        upload: limits of videos.
        live: limits of streams.
        signs: how streams are cut into signs.
    """

    top_k: int = pydantic.Field(5, ge=1, le=1000)
    window_seconds: float | None = pydantic.Field(None, gt=0)
    allowed_origins: tuple[str, ...] = ()
    upload: UploadSettings = UploadSettings()
    live: LiveSettings = LiveSettings()
    signs: StreamSettings = StreamSettings()


def load_settings(path: Path | None, overrides: list[str]) -> ServeSettings:
    """Reads settings from a YAML file, if one is given, and ``--set`` arguments.

    Raises:
        SettingsError: naming every fault with its path.
    """
    values = {} if path is None else load_yaml(path)
    where = "--set" if path is None else f"{path} with --set" if overrides else str(path)
    return validate(ServeSettings, apply_overrides(values, overrides), where)
