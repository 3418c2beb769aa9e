"""Whether records are what a trained model wants: clips made the same way, and glosses that it knows."""

from typing import Any

import numpy as np

from sign_keras.data.dataset import Records
from tfrecords_tools.clips import ClipSpec, CropSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import FILE_NAME
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.settings import Settings

# What of a ClipSpec shapes an input; the rest may differ between a model's records and those it is tested on.
SPEC_FIELDS = {"frames": ("crop", "short_side", "jpeg_quality"), "keypoints": ("keypoints",), "frame_mask": ()}


def check_clip_spec(wanted: ClipSpec, records: Records) -> None:
    """Compares how an artefact's clips are made with how the records were, as far as its inputs depend on it.

    Raises:
        UserError: naming the first field that differs, and both values.
    """
    made = records.info.clip_spec
    for name in records.input_names:
        for section in SPEC_FIELDS[name]:
            if difference := _difference(section, getattr(wanted, section), getattr(made, section)):
                field, ours, theirs = difference
                raise UserError(
                    f"{records.directory}: {field} is {theirs!r}, but the model wants {ours!r}; convert the videos "
                    f"again with --set {field}={'null' if ours is None else ours}"
                )
    if difference := _difference("sampling", wanted.sampling, records.sampling):
        field, ours, theirs = difference
        raise UserError(f"{records.directory}: opened with {field} {theirs!r}, but the model wants {ours!r}")


def matched_ids(label_map: LabelMap, records: Records, split: str) -> dict[int, int]:
    """Id in an artefact's ``label_map`` by id in the records' own, for the glosses that it knows.

    Raises:
        UserError: it does not know a gloss of the split.
    """
    held = records.info.splits[split].glosses if split in records.info.splits else {}
    for gloss in sorted(held, key=records.label_map.id):
        if gloss not in label_map:
            raise UserError(
                f"{records.directory}: split {split!r} holds the gloss {gloss!r}, which is not among the model's "
                f"{len(label_map)}; evaluate it on records of the glosses that it was trained on"
            )
    return {number: label_map.id(gloss) for number, gloss in enumerate(records.label_map) if gloss in label_map}


def matched_id(own_ids: dict[int, int], index: int, records: Records) -> int:
    """One of ``matched_ids``.

    Raises:
        UserError: the id is that of no gloss which the split was said to hold.
    """
    if index not in own_ids:
        raise UserError(
            f"{records.directory}: a record has the label {index}, which {FILE_NAME} does not count; to find it: "
            f"python -m tfrecords_tools.inspect {records.directory}"
        )
    return own_ids[index]


def matched_gloss(index: int, records: Records) -> str:
    """The gloss that a record's id stands for.

    Raises:
        UserError: none does.
    """
    if not 0 <= index < len(records.label_map):
        raise UserError(
            f"{records.directory}: a record has the label {index}, which its label map does not have; to find it: "
            f"python -m tfrecords_tools.inspect {records.directory}"
        )
    return records.label_map.glosses[index]


def matched_sentences(gloss_ids: np.ndarray, num_glosses: np.ndarray, records: Records) -> list[tuple[str, ...]]:
    """The glosses that sentences of a record's ids stand for.

    Args:
        gloss_ids: ``[B, L]``, what is behind the last gloss does not count.
        num_glosses: ``[B]``.
        records: that they are of.

    Raises:
        UserError: see ``matched_gloss``.
    """
    return [
        tuple(matched_gloss(int(index), records) for index in ids[:count])
        for ids, count in zip(gloss_ids, num_glosses, strict=True)
    ]


def _difference(field: str, ours: Any, theirs: Any) -> tuple[str, Any, Any] | None:
    """The first of a section's fields that differ, and both values; None where nothing does."""
    if ours == theirs:
        return None
    if not (isinstance(ours, Settings) and isinstance(theirs, Settings)):
        return field, ours, theirs
    if isinstance(ours, CropSpec) and ours.mode == getattr(theirs, "mode", None) == "full":
        return None  # the margin around hands says nothing then
    key = next(key for key in type(ours).model_fields if getattr(ours, key) != getattr(theirs, key))
    return f"{field}.{key}", getattr(ours, key), getattr(theirs, key)
