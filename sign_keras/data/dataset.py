"""Shards to batches.

The order of clips and every augmentation follow from (seed, epoch, place in the epoch) alone, so a training
that was stopped goes on with the very batches that it would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from sign_keras.config import AugmentConfig, DataConfig
from sign_keras.data.parsing import parse_record
from sign_keras.data.sampling import sample_frames
from sign_keras.data.transforms import Draw, augment_frames, augment_keypoints, draw
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import LABEL_MAP_NAME, DatasetInfo
from tfrecords_tools.keypoint_layout import KeypointLayout
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.shards import find_shards

Inputs = dict[str, tf.Tensor]
# What names a clip in reports; beside the inputs and the label in evaluation batches.
METADATA = ("media_id", "path", "signer", "gloss")


@dataclass(frozen=True)
class Records:
    """A folder of records, opened: its description, its label map, and what a model takes from it.

    Attributes:
        directory: the folder.
        info: its ``dataset_info.json``.
        label_map: its ``label_map.json``.
        sampling: which frames a model sees.
        input_names: the model's inputs among ``frames``, ``keypoints`` and ``frame_mask``.
    """

    directory: Path
    info: DatasetInfo
    label_map: LabelMap
    sampling: SamplingSpec
    input_names: tuple[str, ...]

    @classmethod
    def open(cls, directory: Path, sampling: SamplingSpec, input_names: Sequence[str]) -> "Records":
        """Opens a folder.

        Raises:
            UserError: it is missing or broken, or has no frames or keypoints where the model needs them.
        """
        info = DatasetInfo.load(directory)
        if "frames" in input_names and not info.clip_spec.frames:
            raise UserError(f"{directory}: its records have keypoints only, but the model needs frames")
        if "keypoints" in input_names and info.layout is None:
            raise UserError(f"{directory}: its records have no keypoints, but the model needs them")
        label_map = LabelMap.load(directory / LABEL_MAP_NAME)
        return cls(directory, info, label_map, sampling, tuple(input_names))

    def num_clips(self, split: str) -> int:
        """Clips of a split."""
        return self.info.splits[split].clips if split in self.info.splits else 0

    def training_batches(
        self, config: DataConfig, batch_size: int, *, seed: int, first_epoch: int = 0, split: str = "train"
    ) -> tf.data.Dataset:
        """Endless epochs of ``(inputs, label [B] int32)``; the last batch of an epoch may be smaller.

        Args:
            config: caching, shuffling, augmentation.
            batch_size: clips a batch.
            seed: of order and augmentation.
            first_epoch: where to start, for a training that is resumed.
            split: which clips.

        Raises:
            UserError: the split is empty or a shard is damaged.
        """
        num_clips = self.num_clips(split)
        records = self._parsed(split, config.cache)
        deal = _random_labels(num_clips, len(self.label_map), seed) if config.shuffle_labels else None

        def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
            # Shuffled before augmentation, anew each epoch; seeds are drawn from the place in the epoch.
            order = tf.random.stateless_uniform([2], [seed, epoch], minval=None, maxval=None, dtype=tf.int64)
            clips = records.enumerate()
            clips = clips.shuffle(
                min(config.shuffle_clips, num_clips), seed=order[0], reshuffle_each_iteration=False
            )

            def prepare(place: tf.Tensor, clip: tuple[tf.Tensor, Inputs]) -> tuple[Inputs, tf.Tensor]:
                index, parsed = clip
                drawn = draw(
                    config.augment,
                    self.sampling.num_frames,
                    tf.random.experimental.stateless_fold_in(order, place),
                )
                inputs = self.prepare(parsed, config.augment, drawn)
                label = self._label(parsed) if deal is None else tf.gather(deal, index)
                return inputs, label

            return clips.enumerate().map(prepare, tf.data.AUTOTUNE, deterministic=True).batch(batch_size)

        epochs = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max)
        return _tuned(epochs.flat_map(epoch_batches))

    def evaluation_batches(self, split: str, batch_size: int) -> tf.data.Dataset:
        """Every clip of a split exactly once, in a fixed order: ``(inputs, label [B] int32, metadata)``.

        ``metadata`` maps ``METADATA`` to ``[B]`` strings.

        Raises:
            UserError: the split is empty or a shard is damaged.
        """

        def prepare(parsed: Inputs) -> tuple[Inputs, tf.Tensor, Inputs]:
            metadata = {name: parsed[name] for name in METADATA if name != "gloss"}
            return self.prepare(parsed), self._label(parsed), {**metadata, "gloss": parsed["glosses"][0]}

        records = self._parsed(split, cache="none")
        batches = records.map(prepare, tf.data.AUTOTUNE, deterministic=True).batch(batch_size)
        count = -(-self.num_clips(split) // batch_size)
        return _tuned(batches.apply(tf.data.experimental.assert_cardinality(count)))

    def prepare(self, parsed: Inputs, augment: AugmentConfig | None = None, drawn: Draw | None = None) -> Inputs:
        """One parsed record to one clip of model inputs; see ``prepare_clip``."""
        return prepare_clip(
            parsed, self.sampling, self.input_names, layout=self.info.layout, augment=augment, drawn=drawn
        )

    def _parsed(self, split: str, cache: str) -> tf.data.Dataset:
        shards = [str(path) for path in find_shards(self.directory, self.info, split)]
        layout = self.info.layout if "keypoints" in self.input_names else None
        records = tf.data.Dataset.from_tensor_slices(shards).interleave(
            tf.data.TFRecordDataset, cycle_length=len(shards), num_parallel_calls=tf.data.AUTOTUNE
        )
        records = records.map(lambda record: parse_record(record, layout), tf.data.AUTOTUNE)
        if cache == "memory":
            records = records.cache()
        elif cache != "none":
            folder = Path(cache)
            folder.mkdir(parents=True, exist_ok=True)
            records = records.cache(str(folder / f"{self.info.name}-{split}"))
        return records

    def _label(self, parsed: Inputs) -> tf.Tensor:
        # A sentence in a dataset of isolated signs is the user's mistake: say so instead of taking its first.
        single = tf.debugging.assert_equal(
            tf.size(parsed["labels"]), 1, message="a clip with several glosses; this model takes one"
        )
        with tf.control_dependencies([] if single is None else [single]):
            return tf.cast(parsed["labels"][0], tf.int32)


def prepare_clip(
    parsed: Inputs,
    sampling: SamplingSpec,
    input_names: Sequence[str],
    *,
    layout: KeypointLayout | None = None,
    augment: AugmentConfig | None = None,
    drawn: Draw | None = None,
) -> Inputs:
    """One parsed record to one clip of model inputs: in training, in evaluation and in prediction alike.

    Args:
        parsed: from ``schema.parse_record``.
        sampling: which frames, and their size.
        input_names: what to make, among ``frames``, ``keypoints`` and ``frame_mask``.
        layout: of the keypoints.
        augment: in training: what ``drawn`` was drawn from.
        drawn: in training: the clip's augmentation.

    Returns:
        ``frames`` ``[T, H, W, 3]`` uint8, ``keypoints`` ``[T, K, 3]`` float32 with NaN where missing,
        ``frame_mask`` ``[T]`` bool; those asked for.
    """
    indices, mask = sample_frames(parsed["timestamps"], sampling, drawn.offsets if drawn else None)
    inputs = {}
    if "frames" in input_names:
        inputs["frames"] = _frames(parsed, indices, sampling, augment, drawn)
    if "keypoints" in input_names:
        keypoints = tf.gather(parsed["keypoints"], indices)
        if drawn is not None and layout is not None:
            aspect = parsed["aspect_ratio"]
            aspect = tf.where(aspect > 0, aspect, 1.0)  # not known: square
            keypoints = augment_keypoints(keypoints, drawn, layout, aspect)
        inputs["keypoints"] = keypoints
    if "frame_mask" in input_names:
        inputs["frame_mask"] = mask
    return inputs


def _frames(
    parsed: Inputs,
    indices: tf.Tensor,
    sampling: SamplingSpec,
    augment: AugmentConfig | None,
    drawn: Draw | None,
) -> tf.Tensor:
    """Decodes the sampled frames, of each only the window that is used, at the model's size."""
    window = _centre_window(parsed["height"], parsed["width"], sampling.height / sampling.width)
    if drawn is not None:
        window = _inner_window(window, drawn.window)
    # One decoder a frame instead of a tf.map_fn, whose loop costs a sixth of the decoding itself.
    jpegs = tf.unstack(tf.gather(parsed["jpegs"], indices), sampling.num_frames)
    frames = tf.stack([tf.image.decode_and_crop_jpeg(jpeg, window, channels=3) for jpeg in jpegs])
    if augment is not None and drawn is not None and _changes_pictures(augment):
        frames = augment_frames(frames, drawn, augment, sampling.height, sampling.width)
    else:
        frames = resize(frames, sampling.height, sampling.width)
    return tf.ensure_shape(frames, [sampling.num_frames, sampling.height, sampling.width, 3])


def _changes_pictures(augment: AugmentConfig) -> bool:
    """False where only the choice of frames varies: the warp, six times the decoding, is then spared."""
    return augment != AugmentConfig(temporal_jitter=augment.temporal_jitter)


def resize(frames: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Bilinear resize of ``[T, h, w, 3]`` uint8, rounded back to uint8; free where the size is right."""
    shape = tf.shape(frames)

    def resized() -> tf.Tensor:
        return tf.saturate_cast(tf.round(tf.image.resize(frames, [height, width])), tf.uint8)

    return tf.cond((shape[1] == height) & (shape[2] == width), lambda: frames, resized)


def _centre_window(height: tf.Tensor, width: tf.Tensor, aspect: float) -> tf.Tensor:
    """``[4]`` int32 top, left, height, width: the largest centred window of ``aspect`` = height / width."""
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    window_height = tf.round(tf.minimum(height, width * aspect))
    window_width = tf.round(tf.minimum(width, height / aspect))
    corner = [(height - window_height) / 2, (width - window_width) / 2]
    return tf.cast(tf.stack([*corner, window_height, window_width]), tf.int32)


def _inner_window(outer: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """A window given as shares of another, in pixels, at least one pixel large."""
    size = tf.cast(outer[2:], tf.float32)
    inner = tf.maximum(tf.cast(tf.round(size * shares[2:]), tf.int32), 1)
    corner = tf.cast(tf.round(size * shares[:2]), tf.int32)
    return tf.concat([outer[:2] + tf.minimum(corner, outer[2:] - inner), inner], axis=0)


def _random_labels(num_clips: int, num_glosses: int, seed: int) -> tf.Tensor:
    rng = np.random.default_rng(seed)
    return tf.constant(rng.permutation(np.arange(num_clips) % num_glosses), tf.int32)


def _tuned(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
