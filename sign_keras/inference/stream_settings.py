"""How a stream is cut into signs, and what is said of them."""

import pydantic

from tfrecords_tools.settings import Settings


class StreamSettings(Settings):
    """Settings of ``stream.SignStream``. The defaults were chosen on rendered signers (``docs/live.md``).

    Attributes:
        start_speed: of a hand, in shoulder widths a second, from which on a hand at rest has set off.
        stop_speed: below which a moving hand has come to rest.
        smoothing_seconds: speeds are means over so long.
        min_sign_seconds: shorter movements are no signs: nothing is said of them.
        max_sign_seconds: a longer one is cut there; of models that name one sign alone.
        hold_seconds: how long hands rest, or are not found, before a sign has ended.
        gap_seconds: where no frame comes for so long, what was going on has ended with the frame before.
        top_k: glosses in ``scores``.
        refresh_seconds: how often ``scores`` are computed while a sign is made; models of one sign.
        score_smoothing: how much of the scores before stays in the new ones, for bars that do not flicker.
        min_confidence: answers below it are not told, on top of the model's own threshold.
        window_seconds: of models of sentences: the window that goes over what is signed; at most what the model
            takes.
        hop_seconds: how far the window moves on, and how wide its margins are; the window is at least four times as
            long.
        aspect_ratio: width / height of the picture that landmarks refer to, where no frame comes with them.
    """

    start_speed: float = pydantic.Field(0.9, gt=0)
    stop_speed: float = pydantic.Field(0.3, gt=0)
    smoothing_seconds: float = pydantic.Field(0.15, gt=0, le=1)
    min_sign_seconds: float = pydantic.Field(0.3, gt=0)
    max_sign_seconds: float = pydantic.Field(4.0, gt=0, le=60)
    hold_seconds: float = pydantic.Field(0.3, gt=0, le=5)
    gap_seconds: float = pydantic.Field(1.0, gt=0, le=10)
    top_k: int = pydantic.Field(5, ge=1)
    refresh_seconds: float = pydantic.Field(0.2, gt=0)
    score_smoothing: float = pydantic.Field(0.5, ge=0, lt=1)
    min_confidence: float = pydantic.Field(0.0, ge=0, le=1)
    window_seconds: float = pydantic.Field(6.0, gt=0)
    hop_seconds: float = pydantic.Field(0.4, gt=0)
    aspect_ratio: float = pydantic.Field(4 / 3, gt=0)

    @pydantic.model_validator(mode="after")
    def _check(self) -> "StreamSettings":
        if self.stop_speed > self.start_speed:
            raise ValueError("stop_speed: is above start_speed; hands would set off and come to rest at once")
        if self.min_sign_seconds >= self.max_sign_seconds:
            raise ValueError("min_sign_seconds: is not below max_sign_seconds, so that nothing would be a sign")
        if self.gap_seconds < self.hold_seconds:
            raise ValueError("gap_seconds: is below hold_seconds; a pause of the camera would count before a rest")
        return self
