import random
from collections import Counter

import numpy as np
import pytest

from tfrecords_tools.clips import SPLITS, Clip, SplitSettings, assign_splits, crop_to_bbox, shuffled
from tfrecords_tools.command_line import UserError


def make_clips(num_glosses=5, num_signers=20, takes=2, **values) -> list[Clip]:
    return [
        Clip(
            path=f"{g}/{s}_{t}.mp4",
            glosses=(f"g{g}",),
            media_id=f"{g}/{s}_{t}",
            signer=f"s{s}" if num_signers > 1 else "",
            **values,
        )
        for g in range(num_glosses)
        for s in range(num_signers)
        for t in range(takes)
    ]


def test_no_signer_is_in_two_splits():
    clips = assign_splits(make_clips(), SplitSettings())
    splits_of = {clip.signer: {c.split for c in clips if c.signer == clip.signer} for clip in clips}
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert {clip.split for clip in clips} == set(SPLITS)


@pytest.mark.parametrize("by", ["signer", "clip"])
def test_shares_are_respected(by):
    clips = assign_splits(make_clips(), SplitSettings(by=by, validation=0.2, test=0.3))
    counts = Counter(clip.split for clip in clips)
    assert {split: count / len(clips) for split, count in counts.items()} == pytest.approx(
        {"train": 0.5, "validation": 0.2, "test": 0.3}, abs=0.03
    )


@pytest.mark.parametrize("by", ["signer", "clip"])
def test_splits_depend_on_clips_and_seed_not_on_order(by):
    clips = make_clips()
    first = {clip.media_id: clip.split for clip in assign_splits(clips, SplitSettings(by=by))}
    random.Random(1).shuffle(clips)
    assert {clip.media_id: clip.split for clip in assign_splits(clips, SplitSettings(by=by))} == first
    other = {clip.media_id: clip.split for clip in assign_splits(clips, SplitSettings(by=by, seed=1))}
    assert other != first


def test_by_clip_every_gloss_has_the_same_mix():
    clips = assign_splits(make_clips(num_signers=1, takes=20), SplitSettings())
    for gloss in {clip.glosses for clip in clips}:
        mix = Counter(clip.split for clip in clips if clip.glosses == gloss)
        assert mix == {"train": 14, "validation": 3, "test": 3}


def test_by_clip_few_clips_a_gloss_fill_all_splits():
    clips = assign_splits(make_clips(num_glosses=20, num_signers=1, takes=3), SplitSettings())
    counts = Counter(clip.split for clip in clips)
    assert counts["validation"] == counts["test"] == 10


@pytest.mark.parametrize("num_signers", [3, 4, 5, 8])
def test_few_signers_leave_no_split_empty(num_signers):
    clips = assign_splits(make_clips(num_signers=num_signers), SplitSettings())
    assert {clip.split for clip in clips} == set(SPLITS)


def test_stated_splits_are_kept_and_bind_their_signers():
    clips = make_clips(num_signers=4)
    stated = [
        Clip(**{**vars(clip), "split": "test"}) if clip.signer == "s1" and index % 2 else clip
        for index, clip in enumerate(clips)
    ]
    split = assign_splits(stated, SplitSettings())
    assert {clip.split for clip in split if clip.signer == "s1"} == {"test"}
    everything = make_clips(split="validation")
    assert assign_splits(everything, SplitSettings()) == everything
    assert {clip.split for clip in assign_splits(everything, SplitSettings(by="signer"))} == set(SPLITS)


def test_unknown_signers_are_signers_of_their_own():
    clips = [*make_clips(num_signers=3), *make_clips(num_glosses=3, num_signers=1, takes=10)]
    clips = [Clip(**{**vars(clip), "media_id": str(index)}) for index, clip in enumerate(clips)]
    split = assign_splits(clips, SplitSettings())
    assert len({clip.split for clip in split if not clip.signer}) > 1


def test_splitting_by_signers_that_nobody_named_is_an_error():
    with pytest.raises(UserError, match=r"split\.by=signer: no clip says who signs"):
        assign_splits(make_clips(num_signers=1), SplitSettings(by="signer"))


def test_shuffled_depends_on_names_and_seed_alone():
    clips = make_clips()
    assert shuffled(clips, 3) == shuffled(clips[::-1], 3)
    assert shuffled(clips, 3) != shuffled(clips, 4)


def test_crop_to_bbox_respects_bounds():
    image = np.arange(10 * 8 * 3, dtype=np.uint8).reshape(10, 8, 3)
    np.testing.assert_array_equal(crop_to_bbox(image, (2, 3, 5, 7)), image[3:7, 2:5])
    np.testing.assert_array_equal(crop_to_bbox(image, (-4, 5, 100, 100)), image[5:, :])
    assert crop_to_bbox(image, None) is image
