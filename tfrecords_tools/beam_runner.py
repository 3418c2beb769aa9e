"""``convert --runner beam``: a conversion's shards, made by Apache Beam on this machine or on many.

The unit of work is one planned shard. Whoever gets it makes it as the local runner would, with the same function
for each clip and the same writer, and enters it in the journal; so the records are the same, byte for byte, and
whatever becomes of a worker or of the whole run, the next run makes the shards that are missing.

All processes share the folders of clips and records. The plan travels through that folder too: a million clips
are more than runners take inside a pipeline.
"""

import contextlib
import functools
import importlib.util
import io
import logging
import pickle
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import loky

from tfrecords_tools.command_line import UserError, writing
from tfrecords_tools.journal import JOURNAL_NAME, Journal, add_entry, find_entry
from tfrecords_tools.pipeline import Job, Shard, ShardsWriter, write_shard
from tfrecords_tools.workers import Result, extract_clips

FOLDER_NAME = "beam"
FAULT_NAME = "fault"


def beam_writer(beam_runner: str | None, flags: Sequence[str], workers: int | None) -> ShardsWriter:
    """What ``pipeline.convert`` needs to make shards with Beam.

    Args:
        beam_runner: Beam's name of a runner, e.g. ``FlinkRunner``; None for this machine.
        flags: Beam's own options, e.g. ``--flink_master=host:8081``.
        workers: processes on this machine; by default one a core.

    Raises:
        UserError: Beam is not installed, does not know the runner or (on this machine) an option, or
            ``workers`` is given where the runner has an option of its own for that.
    """
    if importlib.util.find_spec("apache_beam") is None:
        raise UserError("--runner beam: Apache Beam is not installed; pip install 'sign_keras[beam]'")
    if beam_runner and workers:
        raise UserError(
            f"--workers {workers}: counts processes on this machine; {beam_runner} has an option of its own, such "
            "as --parallelism=N or --num_workers=N"
        )
    count = workers or loky.cpu_count()
    return functools.partial(_write_with_beam, workers=count, options=_options(beam_runner, flags, count))


def _options(beam_runner: str | None, flags: Sequence[str], workers: int) -> Any:
    with _without_warnings():
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.runner import create_runner

    if beam_runner:
        try:
            create_runner(beam_runner)
        except (ValueError, ImportError, AttributeError) as error:
            raise UserError(f"--beam-runner {beam_runner}: {error}") from None
        # Options that this Beam does not know may be the cluster's.
        return _parsed(PipelineOptions, [f"--runner={beam_runner}", *flags])
    # Threads, since each starts a process of its own for the clips. Beam's processes (multi_processing) would
    # hold up the run for ever when one of them dies: its local runner waits for an answer that cannot come.
    # A mode that the caller gives comes later and wins.
    local = [f"--direct_num_workers={workers}", "--direct_running_mode=multi_threading", *flags]
    with _without_warnings():
        options = _parsed(PipelineOptions, local)
        known = options.get_all_options()
        unknown = options.get_all_options(retain_unknown_options=True).keys() - known.keys()
    if unknown:
        raise UserError(f"--{', --'.join(sorted(unknown))}: neither convert nor Beam has such an option")
    return options


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keeps Beam from telling about Google's packages, which nobody asked for, and options, about which we do."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _parsed(kind: Any, flags: list[str]) -> Any:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):  # argparse would print a page of usage first
            options = kind(flags)
            options.get_all_options()
    except SystemExit:
        raise UserError(f"Beam's options: {_last_line(complaint.getvalue())}") from None
    return options


def _write_with_beam(job: Job, missing: Sequence[Shard], journal: Journal, *, workers: int, options: Any) -> None:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import StandardOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    is_local = options.view_as(StandardOptions).runner is None
    if is_local:
        _say_when_idle(job, workers)
    else:
        _check_absolute(job, missing)
    write_plans(job.output, missing)
    pipeline = beam.Pipeline(runner=FnApiRunner() if is_local else None, options=options)
    names = [shard.name for shard in missing]
    # The local runner deals its elements once and for all: one to a worker saves starting anew for each shard.
    num_elements = min(workers, len(names)) if is_local else len(names)
    elements = [names[start::num_elements] for start in range(num_elements)]
    # Workers get the plan of a shard from its file, not that of all shards.
    make = functools.partial(_make_or_tell if is_local else make_shards, replace(job, shards=[]))
    # Without a reshuffle a runner takes naming and making for one step, and does it on one worker.
    _ = pipeline | "name shards" >> beam.Create(elements) | beam.Reshuffle() | "make shards" >> beam.Map(make)
    fault = _fault_path(job.output)
    try:
        pipeline.run().wait_until_finish()
        reason = fault.read_text(encoding="utf-8") if fault.exists() else ""
    except Exception as error:
        reason = _last_line(str(error)) or type(error).__name__
    finally:
        shutil.rmtree(_folder(job.output), ignore_errors=True)
    if reason:
        made = sum(journal.find(shard.name, shard.fingerprint) is not None for shard in missing)
        raise UserError(
            f"Beam stopped with {made} of {len(missing)} shards made: {reason}; when that is mended, the same "
            "command makes the rest"
        )


def write_plans(output: Path, shards: Sequence[Shard]) -> None:
    """Puts the plan of each shard where ``make_shards`` looks for it; whatever an earlier run left there goes."""
    shutil.rmtree(_folder(output), ignore_errors=True)
    with writing(_folder(output)):
        _folder(output).mkdir()
        for shard in shards:
            _plan_path(output, shard.name).write_bytes(pickle.dumps(shard))


def make_shards(job: Job, names: Sequence[str]) -> None:
    """Makes planned shards, in whichever process Beam runs this; those that are whole already are left alone.

    Runners may give up on a worker that still works, and have another make the same shard at the same time. So
    each attempt writes in a folder of its own, and moves a whole file to the place where the other has put, or
    will put, the same bytes.

    Args:
        job: what the shards belong to.
        names: of the shards, whose plans the driver has written.
    """
    planned = [pickle.loads(_plan_path(job.output, name).read_bytes()) for name in names]
    shards: list[Shard] = [
        shard for shard in planned if find_entry(job.output, shard.name, shard.fingerprint) is None
    ]
    attempt = _folder(job.output) / uuid.uuid4().hex
    attempt.mkdir()
    # A process of its own for the clips: one that crashes the decoder is skipped, as in the local run, and does
    # not take Beam's worker with it again and again.
    clips = (clip for shard in shards for clip in shard.clips)
    results = _while_wanted(extract_clips(clips, job.spec, workers=1, reader=job.reader), attempt)
    try:
        for shard in shards:
            report = write_shard(replace(job, output=attempt), shard, results)
            (attempt / shard.name).replace(job.output / shard.name)
            add_entry(job.output, shard.name, report)
    finally:
        shutil.rmtree(attempt, ignore_errors=True)


def _make_or_tell(job: Job, names: Sequence[str]) -> None:
    """``make_shards`` on this machine, where Beam tries nothing twice: the first fault ends the work of all.

    The fault goes to a file: Beam would print pages of traceback, even after the driver has ended.
    """
    try:
        make_shards(job, names)
    except Exception as error:
        # It is there already when another was first; its folder is gone when the driver was interrupted.
        with contextlib.suppress(OSError), _fault_path(job.output).open("x", encoding="utf-8") as file:
            file.write(str(error) or type(error).__name__)


def _while_wanted(results: Iterator[Result], attempt: Path) -> Iterator[Result]:
    """The results, while there is a driver (which removes the folder of all attempts) and no fault."""
    for result in results:
        if not attempt.exists() or (attempt.parent / FAULT_NAME).exists():
            raise UserError("the run has ended")
        yield result


def _folder(output: Path) -> Path:
    return output / JOURNAL_NAME / FOLDER_NAME


def _fault_path(output: Path) -> Path:
    return _folder(output) / FAULT_NAME


def _plan_path(output: Path, shard_name: str) -> Path:
    return _folder(output) / f"{shard_name}.plan"


def _say_when_idle(job: Job, workers: int) -> None:
    if len(job.shards) < workers:
        print(
            f"{len(job.shards)} shards for {workers} workers: a shard is made by one worker; a smaller "
            "--set clips_per_shard=N gives all of them work"
        )


def _check_absolute(job: Job, missing: Sequence[Shard]) -> None:
    """Raises ``UserError`` for paths that mean another file in another process."""
    paths = [("--output", str(job.output)), *(("clip", clip.path) for shard in missing for clip in shard.clips)]
    for what, path in paths:
        if not Path(path).is_absolute():
            raise UserError(
                f"{what} {path}: is relative; other machines need --input and --output as absolute paths of a "
                "shared file system"
            )


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
