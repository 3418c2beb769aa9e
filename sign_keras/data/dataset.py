"""Shards to batches.

The order of clips and every augmentation follow from (seed, epoch, place in the epoch) alone, so a training
that was stopped goes on with the very batches that it would have seen.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from sign_keras.config import AugmentConfig, DataConfig, KeypointAugmentConfig, MixConfig, NoSignConfig, Task
from sign_keras.config.ratio import FramesPerLogit
from sign_keras.ctc.planner import SentenceClip
from sign_keras.data.clip import Inputs, prepare_clip
from sign_keras.data.disk_cache import claim_cache
from sign_keras.data.draws import Draw, draw
from sign_keras.data.keypoint_transforms import check_keypoint_augmentation
from sign_keras.data.mixing import draw_mix, mix
from sign_keras.data.no_sign import feasible_kinds, make_non_sign, model_label_map
from sign_keras.data.oversampling import balanced_counts, redeal
from sign_keras.data.parsing import parse_record
from sign_keras.data.sampling import sample_moments
from sign_keras.data.sentences import keep_whole, read_sentences, sentence_label
from sign_keras.data.shares import Share
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import LABEL_MAP_NAME, DatasetInfo
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.shards import find_shards

# What names a clip in reports; beside the inputs and the label in evaluation batches.
METADATA = ("media_id", "path", "signer", "gloss")
# Of an epoch's randomness: clips take the numbers from 0, their place in the epoch.
MIX_STREAM, REDEAL_STREAM, NO_SIGN_STREAM = -1, -2, -3
WHOLE = Share()
# A parsed record and its label, and a seed, to those that take their place.
Replacement = Callable[[Inputs, tf.Tensor, tf.Tensor], tuple[Inputs, tf.Tensor]]


@dataclass(frozen=True)
class Records:
    """A folder of records, opened: its description, its label map, and what a model takes from it.

    Attributes:
        directory: the folder.
        info: its ``dataset_info.json``.
        label_map: its ``label_map.json``.
        sampling: which frames a model sees.
        input_names: the model's inputs among ``frames``, ``keypoints`` and ``frame_mask``.
        task: what a clip's label is: the gloss of one sign, or those of a sentence.
        frames_per_logit: of a model that reads sentences.
        left_out: media ids of clips that are passed over, by split.
    """

    directory: Path
    info: DatasetInfo
    label_map: LabelMap
    sampling: SamplingSpec
    input_names: tuple[str, ...]
    task: Task = "isolated"
    frames_per_logit: FramesPerLogit = 1
    left_out: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        directory: Path,
        sampling: SamplingSpec,
        input_names: Sequence[str],
        task: Task = "isolated",
        frames_per_logit: FramesPerLogit = 1,
    ) -> "Records":
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
        return cls(directory, info, label_map, sampling, tuple(input_names), task, frames_per_logit)

    def without(self, split: str, media_ids: Collection[str]) -> "Records":
        """The same records with some clips of a split passed over."""
        names = frozenset(media_ids) | self.left_out.get(split, frozenset())
        return replace(self, left_out={**self.left_out, split: names})

    def num_clips(self, split: str) -> int:
        """Clips of a split."""
        held = self.info.splits[split].clips if split in self.info.splits else 0
        return held - len(self.left_out.get(split, ()))

    def sentences(self, split: str) -> list[SentenceClip]:
        """Each clip of a split: its name, its frames at the sampling's rate, its gloss ids.

        Raises:
            UserError: the split is empty or a shard is damaged.
            ValueError: the sampling has no rate.
        """
        if self.sampling.frame_rate is None:
            raise ValueError("sentences are read at a rate: sampling.frame_rate is missing")
        return list(read_sentences(self._parsed(split, cache="none"), self.sampling.frame_rate))

    def training_batches(
        self,
        config: DataConfig,
        batch_size: int,
        *,
        seed: int,
        first_epoch: int = 0,
        first_batch: int = 0,
        split: str = "train",
        share: Share = WHOLE,
    ) -> tf.data.Dataset:
        """Endless epochs of ``(inputs, labels)``; the last batch of an epoch may be smaller.

        Labels are ``[B]`` int32; where clips are mixed, ``[B, V]`` float32 shares, in every batch; of sentences
        ``[B, 3 + T + L]`` int32, see ``data.sentences``. An
        epoch holds ``num_clips`` clips, oversampled or not.

        Args:
            config: caching, shuffling, augmentation, mixing, oversampling.
            batch_size: clips a batch.
            seed: of order and augmentation.
            first_epoch: where to start, for a training that is resumed.
            first_batch: of that epoch; batches before it are passed over without being decoded.
            split: which clips.
            share: what of each batch; the others' clips are not decoded, unless clips are mixed. A batch of which
                nothing is left is left out.

        Raises:
            UserError: the split is empty, a shard is damaged, clips of keypoints were to be mixed, no non-signs can
                be made up, or keypoints were to be changed that are not there.
        """
        if config.mix.is_on and "keypoints" in self.input_names:
            raise UserError(
                "data.mix: blends pictures, but the model takes keypoints, and two people's make no signer; leave "
                "data.mix out"
            )
        check_keypoint_augmentation(config.augment_keypoints, self.input_names, self.info.layout)
        of_keypoints = config.augment_keypoints if config.augment_keypoints.is_on else None
        num_clips = self.num_clips(split)
        num_glosses = len(model_label_map(self.label_map, config.no_sign))
        put_in = self._replacement(config.no_sign)
        records = self._parsed(split, config.cache)
        deal = _random_labels(num_clips, len(self.label_map), seed) if config.shuffle_labels else None

        def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
            # Shuffled before augmentation, anew each epoch; seeds are drawn from the place in the epoch.
            skipped = tf.where(tf.equal(epoch, first_epoch), tf.constant(first_batch, tf.int64), 0)
            order = tf.random.stateless_uniform([2], [seed, epoch], minval=None, maxval=None, dtype=tf.int64)
            clips = records.enumerate()
            if config.oversample:
                clips = self._oversampled(clips, split, config.oversample, _stream(order, REDEAL_STREAM))
            clips = clips.shuffle(
                min(config.shuffle_clips, num_clips), seed=order[0], reshuffle_each_iteration=False
            )

            def prepare(place: tf.Tensor, clip: tuple[tf.Tensor, Inputs]) -> tuple[Inputs, tf.Tensor]:
                index, parsed = clip
                drawn = draw(config.augment, self.sampling.num_frames, _stream(order, place), of_keypoints)
                if self.task == "continuous":
                    drawn = keep_whole(drawn, parsed, self.sampling, self.frames_per_logit)
                    inputs = self.prepare(parsed, config.augment, of_keypoints, drawn)
                    return inputs, sentence_label(
                        parsed, sample_moments(parsed["timestamps"], self.sampling, *drawn.when)
                    )
                label = self._sign_label(parsed) if deal is None else tf.gather(deal, index)
                if put_in is not None:
                    parsed, label = put_in(parsed, label, _stream(_stream(order, NO_SIGN_STREAM), place))
                return self.prepare(parsed, config.augment, of_keypoints, drawn), label

            places = clips.enumerate().skip(skipped * batch_size)
            if config.mix.is_on:  # with any other clip of the batch
                whole = self._batched(places.map(prepare, tf.data.AUTOTUNE, deterministic=True), batch_size)
                whole = self._mixed(
                    whole.enumerate(start=skipped), config.mix, num_glosses, _stream(order, MIX_STREAM)
                )
                return whole if share == WHOLE else _filled(whole.map(share.of_batch))
            if share != WHOLE:
                places = places.filter(lambda place, clip: share.holds(place, num_clips, batch_size))
            clips = places.map(prepare, tf.data.AUTOTUNE, deterministic=True)
            return self._batched(clips, batch_size // share.count)

        epochs = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max)
        return _tuned(epochs.flat_map(epoch_batches))

    def evaluation_batches(self, split: str, batch_size: int, view: Draw | None = None) -> tf.data.Dataset:
        """Every clip of a split exactly once, in a fixed order: ``(inputs, label [B] int32, metadata)``.

        Labels of sentences are ``[B, 3 + T + L]``, as in training. ``metadata`` maps ``METADATA`` to ``[B]``
        strings, a sentence's glosses with spaces between them, and for sentences ``frame_indices`` to ``[B, T]``
        int32, which frame of the record each one is; ``view`` is one of ``views.make_views``.

        Raises:
            UserError: the split is empty or a shard is damaged.
        """

        def prepare(parsed: Inputs) -> tuple[Inputs, tf.Tensor, Inputs]:
            metadata = {name: parsed[name] for name in METADATA if name != "gloss"}
            if self.task == "continuous":
                when = view.when if view else ()
                moments = sample_moments(parsed["timestamps"], self.sampling, *when)
                metadata["frame_indices"] = moments.indices
                label = sentence_label(parsed, moments)
            else:
                label = self._sign_label(parsed)
            return (
                self.prepare(parsed, drawn=view),
                label,
                {**metadata, "gloss": tf.strings.reduce_join(parsed["glosses"], separator=" ")},
            )

        records = self._parsed(split, cache="none")
        batches = self._batched(records.map(prepare, tf.data.AUTOTUNE, deterministic=True), batch_size)
        count = -(-self.num_clips(split) // batch_size)
        return _tuned(batches.apply(tf.data.experimental.assert_cardinality(count)))

    def non_sign_batches(
        self, split: str, batch_size: int, config: NoSignConfig, count: int | None = None
    ) -> tf.data.Dataset:
        """Clips without a sign, made up from those of a split, always the same; as ``evaluation_batches``.

        Metadata are those of the clip that each was made of, but for ``gloss``: there it says what was made.

        Args:
            split: one is made of each of its clips.
            batch_size: clips a batch.
            config: what is made up; kinds take turns.
            count: so many, evenly over the split; None: all.

        Raises:
            UserError: the split is empty, a shard is damaged, or no kind is feasible.
        """
        kinds = feasible_kinds(config, self.input_names, self.info.layout, self.sampling.num_frames)
        label, held = self._no_sign_id(config), self.num_clips(split)
        wanted = held if count is None else min(count, held)

        def prepare(number: tf.Tensor, clip: tuple[tf.Tensor, Inputs]) -> tuple[Inputs, tf.Tensor, Inputs]:
            parsed = clip[1]
            kind = tf.cast(number % len(kinds), tf.int32)
            metadata = {name: parsed[name] for name in METADATA if name != "gloss"}
            seed = _stream(tf.constant([0, NO_SIGN_STREAM], tf.int64), number)
            made = make_non_sign(parsed, kinds, kind, self.info.layout, seed)
            return self.prepare(made), tf.constant(label, tf.int32), {**metadata, "gloss": tf.gather(kinds, kind)}

        chosen = self._parsed(split, cache="none").enumerate()
        chosen = chosen.filter(lambda place, _: (place + 1) * wanted // held > place * wanted // held)
        batches = chosen.enumerate().map(prepare, tf.data.AUTOTUNE, deterministic=True).batch(batch_size)
        return _tuned(batches.apply(tf.data.experimental.assert_cardinality(-(-wanted // batch_size))))

    def _no_sign_id(self, config: NoSignConfig) -> int:
        return model_label_map(self.label_map, config).id(config.gloss)

    def _replacement(self, config: NoSignConfig | None) -> Replacement | None:
        """What puts made-up non-signs in the place of some training clips; None where none are wanted."""
        share = 0.0 if config is None else config.made_up_share(self.label_map.glosses)
        if config is None or not share:
            return None
        kinds = feasible_kinds(config, self.input_names, self.info.layout, self.sampling.num_frames)
        no_sign = self._no_sign_id(config)

        def replace(parsed: Inputs, label: tf.Tensor, seed: tf.Tensor) -> tuple[Inputs, tf.Tensor]:
            uniform = tf.random.stateless_uniform([2], _stream(seed, 0))
            kind = tf.cast(uniform[1] * len(kinds), tf.int32)
            return tf.cond(
                uniform[0] < share,
                lambda: (
                    make_non_sign(parsed, kinds, kind, self.info.layout, _stream(seed, 1)),
                    tf.constant(no_sign),
                ),
                lambda: (dict(parsed), label),
            )

        return replace

    def prepare(
        self,
        parsed: Inputs,
        augment: AugmentConfig | None = None,
        of_keypoints: KeypointAugmentConfig | None = None,
        drawn: Draw | None = None,
    ) -> Inputs:
        """One parsed record to one clip of model inputs; see ``prepare_clip``."""
        return prepare_clip(
            parsed,
            self.sampling,
            self.input_names,
            layout=self.info.layout,
            augment=augment,
            of_keypoints=of_keypoints,
            drawn=drawn,
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
            records = records.cache(str(claim_cache(Path(cache), self.info, split)))
        if names := self.left_out.get(split):
            passed_over = tf.constant(sorted(names))
            records = records.filter(lambda parsed: tf.reduce_all(parsed["media_id"] != passed_over))
        return records

    def _batched(self, clips: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """Batches; of sentences, whose labels differ in length, the shorter ones are filled up with 0."""
        return clips.padded_batch(batch_size) if self.task == "continuous" else clips.batch(batch_size)

    def _oversampled(
        self, clips: tf.data.Dataset, split: str, oversample: float, seed: tf.Tensor
    ) -> tf.data.Dataset:
        counts = self.info.splits[split].glosses
        natural = [counts.get(gloss, 0) for gloss in self.label_map]
        wanted = balanced_counts(natural, oversample)
        return redeal(clips, lambda clip: clip[1]["labels"][0], natural, wanted.tolist(), seed)

    def _mixed(
        self, numbered: tf.data.Dataset, config: MixConfig, num_glosses: int, seed: tf.Tensor
    ) -> tf.data.Dataset:
        def mix_batch(number: tf.Tensor, batch: tuple[Inputs, tf.Tensor]) -> tuple[Inputs, tf.Tensor]:
            drawn = draw_mix(config, tf.size(batch[1]), _stream(seed, number))
            return mix(*batch, num_glosses, drawn, tube=config.tube)

        return numbered.map(mix_batch, tf.data.AUTOTUNE, deterministic=True)

    def _sign_label(self, parsed: Inputs) -> tf.Tensor:
        # A sentence in a dataset of isolated signs is the user's mistake: say so instead of taking its first.
        single = tf.debugging.assert_equal(
            tf.size(parsed["labels"]), 1, message="a clip with several glosses; this model takes one"
        )
        with tf.control_dependencies([] if single is None else [single]):
            return tf.cast(parsed["labels"][0], tf.int32)


def _filled(batches: tf.data.Dataset) -> tf.data.Dataset:
    return batches.filter(lambda inputs, labels: tf.shape(labels)[0] > 0)


def _stream(seed: tf.Tensor, number: tf.Tensor | int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, number)


def _random_labels(num_clips: int, num_glosses: int, seed: int) -> tf.Tensor:
    rng = np.random.default_rng(seed)
    return tf.constant(rng.permutation(np.arange(num_clips) % num_glosses), tf.int32)


def _tuned(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
