"""Records that a configuration names: made when they are missing, used when they are there."""

import sys

from sign_keras.config import PrepareConfig, RecordsConfig
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import FILE_NAME as DATASET_INFO_NAME


def prepare_records(config: RecordsConfig, *, is_alone: bool = True) -> None:
    """Makes the records that the configuration names, unless they are there; says what it does.

    Raises:
        UserError: they are missing and the configuration does not say how to make them, making them fails, or
            several machines (not ``is_alone``) would make the same.
    """
    directory, prepare = config.directory, config.prepare
    if (directory / DATASET_INFO_NAME).exists():
        print(f"records: {directory}")
        return
    if prepare is None:
        raise UserError(
            f"records.directory={directory}: holds no {DATASET_INFO_NAME}; make the records with python -m "
            "tfrecords_tools.convert, or say how in records.prepare"
        )
    if not is_alone:
        raise UserError(
            f"records.directory={directory}: holds no {DATASET_INFO_NAME}; several machines read records that are "
            "there: make them first on one, by python -m tfrecords_tools.convert or by python -m sign_keras.train "
            "without TF_CONFIG"
        )
    from tfrecords_tools.convert import convert_source

    print(f"records: {directory} is not there yet; making it", flush=True)
    if prepare.synthesize is not None:
        synthesize_videos(prepare)
    info = convert_source(prepare.source, prepare.input, directory, prepare.settings)
    if info.num_skipped:
        print(f"{info.num_skipped} inputs were skipped: see {directory / 'skipped.csv'}", file=sys.stderr)


def synthesize_videos(prepare: PrepareConfig) -> None:
    """Renders what ``prepare.synthesize`` describes into ``prepare.input``, unless they are there."""
    from tfrecords_tools.synthesize import synthesize
    from tfrecords_tools.synthetic import LEXICON

    wanted = prepare.synthesize
    if wanted is None:
        return
    synthesize(
        prepare.input,
        signers=wanted.signers,
        clips_per_gloss=wanted.clips_per_gloss,
        seed=wanted.seed,
        glosses=list(LEXICON)[: wanted.num_glosses],
        sentences=wanted.sentences,
        letters=wanted.letters,
        size=wanted.size,
        first_signer=wanted.first_signer,
    )
