"""How often others are understood who sign a word that was enrolled from a few clips of one person.

    python examples/mp_words_enrolment.py --input mp_words --output data/mp_words_folds \
        --runs runs/mp_words_enrolment --config configs/mp_words_conv_transformer.yaml --words please yes i_love_you

The input is that of ``mp_words.py``. For each word, a model learns the others from the training signers of one fold
of ``mp_words_folds.py``, and never sees the word. Then the word is enrolled as ``sign_keras.enroll`` does it: from
1, 5 and 10 clips of one training signer, again for each who signs it and for several draws of clips. Tested are the
fold's eight tested signers, whom neither training nor enrolment has seen: how many of their clips of the word are
recognised, and how many of their other clips are still right.

Output: records without each word, ``OUTPUT/without_WORD``; a run for each word; and ``RUNS/enrolment.md`` and
``.json``. A run that has been evaluated is not trained again.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from divisions import Clips, list_clips, places_of, signer_divisions
from mp_words_folds import TABLE, load_configs, make_divisions
from sign_keras.embeddings import Embeddings
from sign_keras.enroll import SHARE_TAKEN
from sign_keras.imprinting import Head, imprint
from sign_keras.quiet import quiet_tensorflow
from sign_keras.studies.tables import markdown_table
from sign_keras.studies.trainings import Training, train_all
from signer_folds import NUM_FOLDS
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.settings import add_overrides

if TYPE_CHECKING:
    from sign_keras.inference.run_artefact import RunArtefact

EXAMPLE = """example:
  python examples/mp_words_enrolment.py --input mp_words --output data/mp_words_folds \\
      --runs runs/mp_words_enrolment --config configs/mp_words_conv_transformer.yaml --words please yes
"""
CLIPS = (1, 5, 10)
DRAWS = 5  # of the clips of each who enrols
BATCH_SIZE = 128


@dataclass(frozen=True)
class EmbeddedClips:
    """Clips as a model's head sees them.

    Attributes:
        values: ``[N, D]``.
        glosses: ``[N]``.
        signers: ``[N]``.
    """

    values: np.ndarray
    glosses: np.ndarray
    signers: np.ndarray

    def where(self, keep: np.ndarray) -> "EmbeddedClips":
        """Some of them, by ``[N]`` bool."""
        return EmbeddedClips(self.values[keep], self.glosses[keep], self.signers[keep])


def without_word(clips: Clips, word: str) -> Clips:
    """All clips but those of a word.

    Raises:
        UserError: nobody signs it.
    """
    glosses = {gloss for of_signer in clips.glosses.values() for gloss in of_signer.values()}
    if word not in glosses:
        raise UserError(f"--words {word}: nobody signs it; there are {', '.join(sorted(glosses))}")
    return replace(
        clips,
        glosses={
            signer: {name: gloss for name, gloss in of_signer.items() if gloss != word}
            for signer, of_signer in clips.glosses.items()
        },
    )


def embed(artefact: "RunArtefact", records: Path, split: str, word: str | None = None) -> EmbeddedClips:
    """The clips of a split, or of them those of a word."""
    from sign_keras.data.dataset import Records

    opened = Records.open(records, artefact.sampling, artefact.input_names)
    values, glosses, signers = [], [], []
    for inputs, _, metadata in opened.evaluation_batches(split, BATCH_SIZE):
        names = np.array([gloss.decode() for gloss in metadata["gloss"].numpy()])
        wanted = np.full(len(names), True) if word is None else names == word
        if not wanted.any():
            continue
        chosen = {name: array.numpy()[wanted] for name, array in inputs.items()}
        values.append(artefact.logits_and_embeddings(chosen)[1])
        glosses += names[wanted].tolist()
        signers += [signer.decode() for signer in metadata["signer"].numpy()[wanted]]
    return EmbeddedClips(np.concatenate(values), np.array(glosses), np.array(signers))


def score_enrolments(
    head: Head, glosses: Sequence[str], known: Embeddings, own: EmbeddedClips, tested: EmbeddedClips, word: str
) -> dict[str, dict[str, Any]]:
    """Scores of a word by how many clips it was enrolled from; ``0``: not at all.

    Args:
        head: of V glosses.
        glosses: V.
        known: of validation clips.
        own: clips of the word by those who may enrol it.
        tested: clips of all glosses, by others.
        word: not among the V.
    """
    names = np.array([*glosses, word])
    new, others = tested.where(tested.glosses == word), tested.where(tested.glosses != word)

    def right(answering: Head, clips: EmbeddedClips) -> np.ndarray:
        return names[answering.logits(clips.values).argmax(axis=1)] == clips.glosses

    scores = {"0": {"others": float(right(head, others).mean())}}
    for count in CLIPS:
        recalls, top1s = {}, []
        for signer in np.unique(own.signers):
            clips = own.values[own.signers == signer]
            if len(clips) < count:
                continue
            rng = np.random.default_rng([count, *signer.encode()])
            drawn = [
                imprint(head, clips[rng.permutation(len(clips))[:count]], known, SHARE_TAKEN) for _ in range(DRAWS)
            ]
            recalls[str(signer)] = float(np.mean([right(enrolled, new) for enrolled in drawn]))
            top1s.append(np.mean([right(enrolled, others) for enrolled in drawn]))
        scores[str(count)] = {
            "recall": float(np.mean(list(recalls.values()))),
            "recall_by_enroller": recalls,
            "others": float(np.mean(top1s)),
        }
    return scores


def format_markdown(summary: Mapping[str, Any]) -> str:
    """The summary as a table for a page of results."""
    header = ["word", "clips", "recall of the word", "worst to best person to enrol it", "top-1 of the other words"]
    rows = []
    for word, scores in summary.items():
        for count, found in scores.items():
            each = sorted(found.get("recall_by_enroller", {}).values())
            row = [
                word,
                count,
                f"{found['recall']:.3f}" if each else "",
                f"{each[0]:.3f} to {each[-1]:.3f} of {len(each)}" if each else "",
                f"{found['others']:.3f}",
            ]
            rows.append(row)
    return markdown_table(header, rows) + "\n"


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python examples/mp_words_enrolment.py",
        description="Enrols words that a model does not know from one signer's clips, and tests them on others.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", required=True, type=Path, metavar="DIR", help="folder to read, see mp_words.py")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for the records")
    parser.add_argument("--runs", required=True, type=Path, metavar="DIR", help="folder for runs and the table")
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="YAML of a model")
    parser.add_argument(
        "--words", required=True, nargs="+", metavar="WORD", help="left out of training, one at a time"
    )
    parser.add_argument(
        "--fold", type=int, default=0, choices=range(NUM_FOLDS), help="whose signers test (default 0)"
    )
    add_overrides(parser, "change a setting, e.g. train.epochs=5; may be repeated")
    parser.add_argument("--workers", type=int, metavar="N", help="processes to make records (default: one a core)")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    (config,) = load_configs([arguments.config], arguments.overrides).values()
    clips = list_clips(arguments.input)
    left = {word: without_word(clips, word) for word in dict.fromkeys(arguments.words)}
    (division,) = signer_divisions(places_of(clips, TABLE), [arguments.fold]).values()
    make_divisions(arguments.input, clips, [division], arguments.output, arguments.workers)
    whole = arguments.output / division.name
    trainings = {}
    for word, others in left.items():
        folder = arguments.output / f"without_{word}"
        make_divisions(arguments.input, others, [division], folder, arguments.workers)
        trainings[word] = Training(
            config=config.name,
            label=word,
            file=arguments.config,
            overrides=(
                *arguments.overrides,
                f"records.directory={folder / division.name}",
                "records.prepare=null",
                "evaluate.split=test",
                "export.formats=[]",
            ),
            run=arguments.runs / f"{config.name}_{division.name}_without_{word}",
        )
    train_all(list(trainings.values()))
    quiet_tensorflow(run_half_op=True)

    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.models.embedding import joint_head
    from sign_keras.run import Run

    summary = {}
    for word, training in trainings.items():
        run = Run.load(training.run)
        artefact = RunArtefact(run)
        summary[word] = score_enrolments(
            Head(*joint_head(artefact.model)),
            run.label_map.glosses,
            Embeddings.load(run.directory),
            embed(artefact, whole, "train", word),
            embed(artefact, whole, "test"),
            word,
        )
    text = format_markdown(summary)
    write_atomically(arguments.runs / "enrolment.json", json.dumps(summary, indent=1, ensure_ascii=False))
    write_atomically(arguments.runs / "enrolment.md", text)
    print(text)
    print(f"tables: {arguments.runs / 'enrolment.md'}, enrolment.json")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
