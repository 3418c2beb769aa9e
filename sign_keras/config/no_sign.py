"""Clips that show no sign, so that a model can say so."""

from typing import Literal

import pydantic

from tfrecords_tools.settings import Settings

NonSignKind = Literal["hold", "start", "end", "between", "hands_missing"]
# Share of training clips where the records have none of their own.
DEFAULT_SHARE = 0.1


class NoSignConfig(Settings):
    """One gloss more, for "no sign": of the records' own clips, or of clips made up from those of signs.

    Attributes:
        gloss: what stands for no sign. Where the records hold this gloss, its clips are used; else it becomes the
            model's last one.
        share: of training clips that are replaced by made-up ones. null: 0 where the records hold the gloss, else
            0.1.
        kinds: what is made up, in equal parts. ``hold``: one moment of a clip, held; leave it out where signs are
            themselves held still (letters, numbers), or people move little. ``start``, ``end``: the first or the
            last fifth of a clip, stretched. ``between``: the end of a clip, then its beginning, as between two
            signs. ``hands_missing``: no hand is found, in models of keypoints alone.
    """

    gloss: str = pydantic.Field("no_sign", min_length=1)
    share: float | None = pydantic.Field(None, ge=0, lt=1)
    kinds: tuple[NonSignKind, ...] = pydantic.Field(
        ("hold", "start", "end", "between", "hands_missing"), min_length=1
    )

    @pydantic.field_validator("kinds")
    @classmethod
    def _each_once(cls, value: tuple[NonSignKind, ...]) -> tuple[NonSignKind, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a kind is named twice")
        return value

    def made_up_share(self, glosses: tuple[str, ...]) -> float:
        """Share of training clips that are made up, for records of these glosses."""
        if self.share is not None:
            return self.share
        return 0.0 if self.gloss in glosses else DEFAULT_SHARE
