"""Draws ``docs/images/augmentation.png``: what each setting of ``data.augment`` and ``data.mix`` does to a clip.

Renders clips of the synthetic signer and lets the training pipeline's own functions do the rest. Each row is one
draw: of 32, the one that changes the pictures most. The mark under a frame says where in the clip it was taken.

Example:
  python docs/draw_augmentation.py --output docs/images/augmentation.png
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import tensorflow as tf

from sign_keras.config import AugmentConfig
from sign_keras.data.clip import prepare_clip
from sign_keras.data.draws import draw
from sign_keras.data.mixing import MixDraw, mix
from sign_keras.data.parsing import parse_record
from sign_keras.data.sampling import sample_frames
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.convert import convert_source
from tfrecords_tools.shards import find_shards, read_shard
from tfrecords_tools.synthesize import synthesize

Array = np.ndarray

SAMPLING = SamplingSpec(num_frames=6, height=96, width=96)
NUM_DRAWS = 32
POPULATION, FIRST_SIGNER = 2026, 13
# The clip that is changed, and the one that is mixed into it: number of the signer, gloss.
SHOWN, OTHER = (1, "play"), (0, "house")
STILL = {"temporal_jitter": 0}
MANY = {
    "speed": 0.3,
    "zoom": 0.2,
    "aspect": 0.3,
    "rotation": 12,
    "blur": 0.7,
    "brightness": 0.15,
    "contrast": 0.3,
    "saturation": 0.4,
    "hue": 0.06,
}
# Label and settings of each row.
AUGMENTED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("as in evaluation", STILL),
    ("temporal_jitter: 1", {}),
    ("speed: 0.5", STILL | {"speed": 0.5}),
    ("zoom: 0.4", STILL | {"zoom": 0.4}),
    ("aspect: 0.5", STILL | {"aspect": 0.5}),
    ("rotation: 20", STILL | {"rotation": 20}),
    ("mirror: 1", STILL | {"mirror": 1}),
    ("blur: 2", STILL | {"blur": 2}),
    ("brightness: 0.3", STILL | {"brightness": 0.3}),
    ("contrast: 0.6", STILL | {"contrast": 0.6}),
    ("saturation: 0.9", STILL | {"saturation": 0.9}),
    ("hue: 0.1", STILL | {"hue": 0.1}),
    ("many at once", MANY),
    ("consistent: false", MANY | {"consistent": False}),
)
# Label, whether it is mixup, whether CutMix's box is a tube, and how much of the clip itself is to stay.
MIXED = (("mixup", True, False, 0.6), ("cutmix", False, False, 0.7), ("cutmix, tube: true", False, True, 0.8))
CENTRE = (0.6, 0.65, 0.5)  # of the box: time, height, width

NUM_COLUMNS, COLUMN_GAP = 2, 28
LABEL_WIDTH, FRAME_GAP, ROW_GAP, FONT_SIZE = 170, 4, 10, 17
MARK_TOP, LINE_HEIGHT, MARK_WIDTH = 3, 3, 10  # of the line under a frame, in pixels
WHITE, BLACK, LINE, MARK = (255, 255, 255), (34, 34, 38), (224, 224, 224), (214, 80, 30)


@dataclass(frozen=True)
class Row:
    """One row of the picture.

    Attributes:
        label: at its left; may have several lines.
        frames: ``[T, H, W, 3]`` uint8.
        places: ``[T]`` in [0, 1]: where in the clip each frame was taken.
    """

    label: str
    frames: Array
    places: Array


def render_clips(folder: Path) -> list[dict[str, tf.Tensor]]:
    """``SHOWN`` and ``OTHER``, parsed."""
    glosses = sorted({SHOWN[1], OTHER[1]})
    people = {"signers": 2, "first_signer": FIRST_SIGNER, "seed": POPULATION}
    synthesize(folder / "videos", clips_per_gloss=1, glosses=glosses, size=192, **people)
    settings = {"keypoints": None, "short_side": 144, "split": {"by": "clip", "validation": 0, "test": 0}}
    info = convert_source("video_folders", folder / "videos" / "clips", folder / "records", settings, workers=1)
    clips = {}
    for shard in find_shards(folder / "records", info, "train"):
        for record in read_shard(shard):
            parsed = parse_record(tf.constant(record), layout=None)
            path = Path(parsed["path"].numpy().decode())
            clips[int(path.stem.split("_")[1]) - FIRST_SIGNER, path.parent.name] = parsed
    return [clips[SHOWN], clips[OTHER]]


def augmented_row(label: str, settings: dict[str, Any], parsed: dict[str, tf.Tensor]) -> Row:
    """A clip under the strongest of ``NUM_DRAWS`` draws."""
    config = AugmentConfig(**settings)
    plain = prepare_clip(parsed, SAMPLING, ("frames",))["frames"].numpy().astype(float)
    rows = []
    for number in range(NUM_DRAWS):
        drawn = draw(config, SAMPLING.num_frames, tf.constant([1, number], tf.int64))
        frames = prepare_clip(parsed, SAMPLING, ("frames",), augment=config, drawn=drawn)["frames"].numpy()
        rows.append(Row(label, frames, _places(parsed, drawn.offsets, drawn.span, drawn.place)))
    return max(rows, key=lambda row: np.abs(row.frames - plain).sum())


def mixed_row(label: str, blended: bool, tube: bool, share: float, clips: list[dict[str, tf.Tensor]]) -> Row:
    """The first clip with the second in it."""
    frames = tf.stack([prepare_clip(parsed, SAMPLING, ("frames",))["frames"] for parsed in clips])
    drawn = MixDraw(
        partner=tf.constant([1, 0]),
        share=tf.constant([share, 1.0]),
        blended=tf.constant([blended, blended]),
        centre=tf.constant([CENTRE, CENTRE]),
    )
    mixed, shares = mix({"frames": frames}, tf.constant([0, 1]), 2, drawn, tube=tube)
    labels = "\n".join(f"  {gloss} {part:.2f}" for gloss, part in zip((SHOWN[1], OTHER[1]), shares[0], strict=True))
    return Row(f"{label}\n{labels}", mixed["frames"][0].numpy(), _places(clips[0]))


def _places(parsed: dict[str, tf.Tensor], *when: tf.Tensor) -> Array:
    indices, _ = sample_frames(parsed["timestamps"], SAMPLING, *when)
    return indices.numpy() / (len(parsed["timestamps"]) - 1)


def compose(rows: list[Row]) -> PIL.Image.Image:
    """The rows under each other, in columns."""
    num_frames, height, width, _ = rows[0].frames.shape
    row_height = height + MARK_TOP + LINE_HEIGHT + ROW_GAP
    column_width = LABEL_WIDTH + num_frames * (width + FRAME_GAP) + COLUMN_GAP
    rows_in_column = -(-len(rows) // NUM_COLUMNS)
    size = (NUM_COLUMNS * column_width - COLUMN_GAP - FRAME_GAP, rows_in_column * row_height - ROW_GAP)
    picture = PIL.Image.new("RGB", size, WHITE)
    pen, font = PIL.ImageDraw.Draw(picture), PIL.ImageFont.load_default(FONT_SIZE)
    for number, row in enumerate(rows):
        column, place_in_column = divmod(number, rows_in_column)
        start, top = column * column_width, place_in_column * row_height
        pen.text((start, top + height / 2), row.label, BLACK, font, anchor="lm")
        for index, (frame, place) in enumerate(zip(row.frames, row.places, strict=True)):
            left = start + LABEL_WIDTH + index * (width + FRAME_GAP)
            picture.paste(PIL.Image.fromarray(frame), (left, top))
            line, mark = top + height + MARK_TOP, left + place * (width - MARK_WIDTH)
            pen.rectangle((left, line, left + width - 1, line + LINE_HEIGHT - 1), LINE)
            pen.rectangle((mark, line, mark + MARK_WIDTH - 1, line + LINE_HEIGHT - 1), MARK)
    return picture


def main() -> None:
    """Draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/images/augmentation.png"), metavar="FILE")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        clips = render_clips(Path(folder))
    rows = [augmented_row(label, settings, clips[0]) for label, settings in AUGMENTED]
    rows += [mixed_row(*row, clips) for row in MIXED]
    picture = compose(rows)
    output.parent.mkdir(parents=True, exist_ok=True)
    # 256 colours, dithered, which Pillow does with a given palette only: half the size.
    picture.quantize(palette=picture.quantize(256)).save(output, optimize=True)
    print(f"{output}: {picture.width}x{picture.height}, {output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
