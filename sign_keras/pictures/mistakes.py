"""Clips that were taken for another sign, each as a picture that says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sign_keras.data.dataset import Records
from sign_keras.metrics import Predictions
from sign_keras.reporting.findings import percent
from sign_keras.reporting.frames import clip_pictures

MOST_MISTAKES = 16
BAR, LETTER, MARGIN = 24, 14, 6  # pixels, of the caption above a strip
PAPER, INK = (255, 255, 255), (31, 35, 40)


@dataclass(frozen=True)
class Mistake:
    """A clip that was mistaken.

    Attributes:
        caption: what was signed, what was said, how surely, and which clip it is.
        picture: ``[H, W, 3]`` uint8: the caption over a strip of frames, or of skeletons.
    """

    caption: str
    picture: np.ndarray


def surest_mistakes(
    predictions: Predictions, records: Records, split: str, glosses: Sequence[str]
) -> list[Mistake]:
    """At most ``MOST_MISTAKES``, the surest first; clips of which a record shows nothing are left out.

    Args:
        predictions: of a split.
        records: where its clips are.
        split: which one.
        glosses: of the recogniser, by id.

    Raises:
        DatasetError: a shard is damaged.
    """
    predicted, probabilities = predictions.predicted, predictions.probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != predictions.labels)
    wrong = wrong[np.argsort(-probabilities[wrong], kind="stable")][:MOST_MISTAKES].tolist()
    strips = clip_pictures(records, split, {predictions.media_ids[clip] for clip in wrong})
    found = []
    for clip in wrong:
        media_id, signer = predictions.media_ids[clip], predictions.signers[clip]
        if media_id not in strips:
            continue
        said = f"said {glosses[predicted[clip]]}, {percent(float(probabilities[clip]))}"
        caption = f"signed {glosses[predictions.labels[clip]]}; {said}"
        whole = f"{caption}{f'; signer {signer}' if signer else ''}; {media_id}"
        found.append(Mistake(whole, _captioned(strips[media_id], caption)))
    return found


def _captioned(strip: np.ndarray, caption: str) -> np.ndarray:
    width = max(strip.shape[1], round(_font().getlength(caption)) + 2 * MARGIN)
    picture = Image.new("RGB", (width, strip.shape[0] + BAR), PAPER)
    ImageDraw.Draw(picture).text((MARGIN, BAR // 2), caption, fill=INK, font=_font(), anchor="lm")
    picture.paste(Image.fromarray(strip), (0, BAR))
    return np.asarray(picture)


@cache
def _font() -> ImageFont.FreeTypeFont:
    """The one that other pictures are written in; scripts that it lacks come out as boxes."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), LETTER)
