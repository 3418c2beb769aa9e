"""``python -m sign_keras.enroll``: one sign more for a trained run, from a few clips and without training."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sign_keras.inference.info import ENROLLED_NAME, kind_of, read_enrolled
from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.clips import SPLITS
from tfrecords_tools.command_line import SKIPPED_INPUTS, SUCCESS, UserError, run_command
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.settings import validate

if TYPE_CHECKING:
    from sign_keras.embeddings import Embeddings
    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.run import Run

EXAMPLE = """example:
  python -m sign_keras.enroll --model runs/my_signs --gloss library clips/library/
  python -m sign_keras.enroll --model runs/my_signs --gloss library --records data/more --signer anna --limit 5

writes runs/my_signs_library, a run directory that evaluate, predict, export and enroll itself take as any other.
One clip is enough to begin with; five to ten, by several people, are much better.
"""
SHARE_TAKEN = 0.02


@dataclass(frozen=True)
class Choice:
    """Which clips of records to take.

    Attributes:
        gloss: whose clips; None where ``media_ids`` say which.
        media_ids: of the clips; empty: any.
        signer: whose clips; None: everybody's.
        split: None: all.
        limit: the first so many; None: all.
    """

    gloss: str | None
    media_ids: tuple[str, ...] = ()
    signer: str | None = None
    split: str | None = None
    limit: int | None = None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Choice":
        """What a command line chooses."""
        gloss = arguments.gloss_in_records or (None if arguments.media_ids else arguments.gloss)
        return cls(gloss, tuple(arguments.media_ids or ()), arguments.signer, arguments.split, arguments.limit)

    def takes(self, metadata: Mapping[str, Sequence[str]], number: int) -> bool:
        """Whether to take a clip of a batch.

        Args:
            metadata: ``gloss``, ``media_id`` and ``signer`` of each clip.
            number: of the clip.
        """
        return (
            self.gloss in (None, metadata["gloss"][number])
            and self.signer in (None, metadata["signer"][number])
            and (not self.media_ids or metadata["media_id"][number] in self.media_ids)
        )

    def __str__(self) -> str:
        parts = [f"of the gloss {self.gloss!r}"] if self.gloss is not None else []
        parts += [f"with the media id {', '.join(self.media_ids)}"] if self.media_ids else []
        parts += [f"by {self.signer!r}"] if self.signer is not None else []
        return " ".join(parts + ([f"in split {self.split!r}"] if self.split is not None else []))


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.enroll",
        description="Adds a sign to a trained run from a few clips, without training.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, type=Path, metavar="DIR", help="run directory")
    parser.add_argument("--gloss", required=True, metavar="NAME", help="of the new sign")
    parser.add_argument("clips", nargs="*", metavar="CLIP", help="videos of it, or folders of them")
    parser.add_argument("--output", type=Path, metavar="DIR", help="run directory to write (default: DIR_NAME)")
    parser.add_argument(
        "--share-taken",
        type=float,
        default=SHARE_TAKEN,
        metavar="SHARE",
        help=f"of validation clips of other signs that the new sign may take (default {SHARE_TAKEN})",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes that read videos (default: one a core)")
    records = parser.add_argument_group("clips from records, instead of videos")
    records.add_argument("--records", type=Path, metavar="DIR", help="folder written by convert")
    records.add_argument("--split", choices=SPLITS, help="of the records (default: all)")
    records.add_argument("--gloss-in-records", metavar="NAME", help="whose clips to take (default: --gloss)")
    records.add_argument("--media-ids", nargs="+", metavar="ID", help="take these clips, whatever their gloss")
    records.add_argument("--signer", metavar="NAME", help="take this person's clips alone")
    records.add_argument("--limit", type=int, metavar="N", help="take the first N")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    check_arguments(arguments)
    model = arguments.model.resolve()
    output = arguments.output or model.with_name(f"{model.name}_{arguments.gloss}")
    quiet_tensorflow(run_half_op=True)

    from sign_keras.embeddings import Embeddings
    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.run import Run

    run = Run.load(arguments.model)
    if arguments.gloss in run.label_map:
        raise UserError(f"--gloss {arguments.gloss}: is among the model's {len(run.label_map)} glosses already")
    if output.exists():
        raise UserError(f"--output {output}: is there already; choose another")
    known, artefact = Embeddings.load(run.directory), RunArtefact(run)
    num_skipped = 0
    if arguments.records is None:
        names, embeddings, num_skipped = embed_videos(artefact, arguments.clips, arguments.workers)
    else:
        names, embeddings = embed_records(artefact, arguments.records, Choice.of(arguments))
    print(enroll(run, artefact, known, arguments.gloss, names, embeddings, output, arguments.share_taken))
    return SKIPPED_INPUTS if num_skipped else SUCCESS


def check_arguments(arguments: argparse.Namespace) -> None:
    """Tells what is wrong before TensorFlow is loaded.

    Raises:
        UserError: naming the argument.
    """
    if kind_of(arguments.model) != "run":
        raise UserError(
            f"--model {arguments.model}: is an export, which gives answers but not what its head sees; give the "
            "run directory that it came from"
        )
    if bool(arguments.clips) == (arguments.records is not None):
        raise UserError("give videos of the sign, or --records DIR: one of the two")
    chosen = ("split", "gloss_in_records", "media_ids", "signer", "limit")
    if arguments.records is None and (given := [name for name in chosen if getattr(arguments, name) is not None]):
        raise UserError(f"--{given[0].replace('_', '-')}: chooses among records; give --records DIR too")
    for option, value in (("--limit", arguments.limit), ("--workers", arguments.workers)):
        if value is not None and value < 1:
            raise UserError(f"{option} {value}: must be at least 1")
    if not 0 <= arguments.share_taken < 1:
        raise UserError(f"--share-taken {arguments.share_taken}: must be at least 0 and below 1")


def embed_videos(
    artefact: "RunArtefact", arguments: Sequence[str], workers: int | None = None
) -> tuple[list[str], np.ndarray, int]:
    """Videos as the model's head sees them.

    Args:
        artefact: the model.
        arguments: files, and folders of them.
        workers: processes that read videos; by default one a core.

    Returns:
        Paths, embeddings ``[n, D]``, and how many videos could not be read; those are listed on standard error.

    Raises:
        UserError: none could be read.
    """
    from sign_keras.inference.predictor import Predictor
    from sign_keras.predict import find_videos
    from tfrecords_tools.extract import SkippedClip

    paths: list[str] = []
    found: list[np.ndarray] = []
    num_skipped = 0
    predictor = Predictor(artefact)
    for extracted in predictor.extract(find_videos(arguments), workers):
        if isinstance(extracted, SkippedClip):
            print(f"{extracted.clip.path}: skipped: {extracted.reason}", file=sys.stderr)
            num_skipped += 1
            continue
        paths.append(extracted.clip.path)
        found.append(artefact.logits_and_embeddings(predictor.inputs(extracted))[1])
    if not found:
        raise UserError(f"none of {num_skipped} videos can be read; nothing is enrolled")
    return paths, np.concatenate(found), num_skipped


def embed_records(artefact: "RunArtefact", directory: Path, choice: Choice) -> tuple[list[str], np.ndarray]:
    """Chosen clips of records as the model's head sees them: media ids, and embeddings ``[n, D]``.

    Raises:
        UserError: they are no records, were made otherwise than the model wants, or hold no such clip.
    """
    from sign_keras.data.compatibility import check_clip_spec
    from sign_keras.data.dataset import Records
    from sign_keras.scoring import BATCH_SIZE, clip_batches

    records = Records.open(directory, artefact.sampling, artefact.input_names)
    check_clip_spec(artefact.clip_spec, records)
    names: list[str] = []
    found: list[np.ndarray] = []
    for split in SPLITS if choice.split is None else (choice.split,):
        if not records.num_clips(split):
            continue
        batches = clip_batches(records, split, records.evaluation_batches(split, BATCH_SIZE))
        for inputs, _, metadata in batches:
            texts = {name: [text.decode("utf-8", "replace") for text in metadata[name]] for name in metadata}
            chosen = [number for number in range(len(texts["gloss"])) if choice.takes(texts, number)]
            chosen = chosen[: None if choice.limit is None else choice.limit - len(names)]
            if chosen:
                names += [texts["media_id"][number] for number in chosen]
                taken = {name: values[chosen] for name, values in inputs.items()}
                found.append(artefact.logits_and_embeddings(taken)[1])
            if choice.limit is not None and len(names) >= choice.limit:
                break
    if not found:
        raise UserError(f"{directory}: holds no clip {choice}")
    return names, np.concatenate(found)


def enroll(
    run: "Run",
    artefact: "RunArtefact",
    known: "Embeddings",
    gloss: str,
    names: Sequence[str],
    embeddings: np.ndarray,
    output: Path,
    share_taken: float = SHARE_TAKEN,
) -> str:
    """Writes a run that knows one sign more.

    Args:
        run: the training.
        artefact: the run's model.
        known: the run's.
        gloss: of the new sign.
        names: of its clips, for the record.
        embeddings: ``[n, D]`` of its clips.
        output: directory to write.
        share_taken: see ``imprinting.imprint``.

    Returns:
        What came of it, in two lines.

    Raises:
        UserError: the clips tell the sign from nothing, or the directory is a run already or its name will not do.
    """
    from sign_keras.confidence import Confidence
    from sign_keras.embeddings import Embeddings
    from sign_keras.imprinting import Head, imprint
    from sign_keras.models import build_model
    from sign_keras.models.embedding import joint_head, put_head
    from sign_keras.run import Run

    try:
        head = imprint(Head(*joint_head(artefact.model)), embeddings, known, share_taken)
    except ValueError as error:
        raise UserError(f"{gloss}: {error}; are these its clips?") from None
    config = validate(type(run.config), run.config.model_dump() | {"name": output.name}, f"--output {output}")
    enrolled = Run.create(output, config, LabelMap((*run.label_map, gloss)), run.info)
    model = build_model(config.model.without_weights(), enrolled.clip_input, len(enrolled.label_map))
    put_head(artefact.model, model, head.kernel, head.bias)
    enrolled.best_weights.parent.mkdir()
    model.save_weights(enrolled.best_weights)
    confidence = Confidence.load(run.directory)
    # Temperature and threshold go on to hold; the figures behind them are another model's.
    Confidence(temperature=confidence.temperature, thresholds=confidence.thresholds).save(output)
    known.and_also(Embeddings(embeddings, np.full(len(embeddings), len(run.label_map)))).save(output)
    clips = read_enrolled(run.directory) | {gloss: list(names)}
    write_atomically(output / ENROLLED_NAME, json.dumps(clips, indent=1, ensure_ascii=False))
    own, others = (
        head.logits(values).argmax(axis=1) == len(run.label_map) for values in (embeddings, known.values)
    )
    return (
        f"{gloss}: recognised in {own.sum()} of the {len(own)} clips that it was enrolled from; takes "
        f"{others.sum()} of {len(others)} validation clips of the other signs\nrun: {output}"
    )


if __name__ == "__main__":
    run_command(main)
