"""Ways to divide the clips of ``mp_words.py`` into splits: folds of signers, folds of clips, the split as given."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mp_words import COMMON_TIER, Signer, clip_path, read_manifest, read_signers
from signer_folds import Person, Place, deal_signers, read_folds, write_table
from ten_parts import NUM_PARTS, splits_of_parts
from tfrecords_tools.clips import stable_hash
from tfrecords_tools.command_line import UserError


@dataclass(frozen=True)
class Division:
    """One way to divide the parts into splits.

    Attributes:
        name: of its folder of records.
        split_of: split of each part.
        tested: the split that scores are of.
    """

    name: str
    split_of: Mapping[str, str]
    tested: str = "test"


@dataclass(frozen=True)
class Clips:
    """The clips of an input.

    Attributes:
        signers: those of training and validation.
        glosses: gloss of each clip's name, by signer.
    """

    signers: list[Signer]
    glosses: dict[str, dict[str, str]]

    @property
    def people(self) -> list[Person]:
        """The signers, as they are dealt to folds."""
        return [
            Person(signer.name, signer.status, Counter(self.glosses[signer.name].values()))
            for signer in self.signers
        ]


def list_clips(folder: Path) -> Clips:
    """The clips of common words by the signers of training and validation, from the tables alone.

    Raises:
        UserError: a table is missing or makes no sense, or there are no clips.
    """
    manifest = read_manifest(folder)
    glosses = {
        signer: {
            clip_path(signer, gloss, index): gloss
            for gloss, word in words.items()
            if word.tier == COMMON_TIER
            for index in word.frames
        }
        for signer, words in manifest.items()
    }
    signers = [signer for signer in read_signers(folder) if signer.split != "test" and glosses.get(signer.name)]
    if not signers:
        raise UserError(f"{folder}: holds no clip of a common word by a signer of training or validation")
    return Clips(signers, {signer.name: glosses[signer.name] for signer in signers})


def places_of(clips: Clips, table: Path) -> dict[str, Place]:
    """Where each signer is, by the table of folds; written if it is missing.

    Raises:
        UserError: the table is of other clips.
    """
    if not table.exists():
        write_table(table, clips.people, deal_signers(clips.people))
        print(f"{table}: written")
    people, places = read_folds(table)
    listed = {person.name: person for person in people}
    for person in clips.people:
        if listed.pop(person.name, None) != person:
            raise UserError(
                f"{table}: has another status or number of clips of signer {person.name} than the input; folds of "
                "these clips are written with --table FILE, a file that is not there yet"
            )
    if listed:
        raise UserError(f"{table}: lists signer {min(listed)}, of whom the input has no clip")
    return places


def signer_divisions(places: Mapping[str, Place], folds: Sequence[int]) -> dict[str, Division]:
    """Divisions of folds of signers, by label; the parts are signers."""

    def split_of(place: Place, fold: int) -> str:
        return "test" if place.fold == fold else "validation" if place.validates == fold else "train"

    return {
        f"fold {fold}": Division(
            f"fold_{fold}", {signer: split_of(place, fold) for signer, place in places.items()}
        )
        for fold in folds
    }


def random_divisions(folds: Sequence[int]) -> dict[str, Division]:
    """Divisions of folds of clips, by label; two parts are a fold, and one of the next one's validates it."""
    return {
        f"fold {fold}": Division(
            f"random_fold_{fold}",
            {f"part_{part}": split for part, split in enumerate(splits_of_parts(fold))},
        )
        for fold in folds
    }


def random_parts(clips: Clips) -> dict[str, dict[str, str]]:
    """The clips dealt to parts at random, each gloss evenly: gloss of each clip's name, by part."""
    glosses = {name: gloss for of_signer in clips.glosses.values() for name, gloss in of_signer.items()}
    parts: dict[str, dict[str, str]] = {}
    for place, name in enumerate(sorted(glosses, key=lambda name: (glosses[name], stable_hash(0, name)))):
        parts.setdefault(f"part_{place % NUM_PARTS}", {})[name] = glosses[name]
    return parts
