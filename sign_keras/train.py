"""``python -m sign_keras.train``: from videos, or records, to a trained, evaluated and exported model."""

from __future__ import annotations

import argparse
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sign_keras.config import Config, EvaluateConfig, FourStageCTCConfig, load_config
from sign_keras.data.preparation import prepare_records
from sign_keras.quiet import quiet_tensorflow
from sign_keras.scoring import check_unknown
from sign_keras.training.cluster import Cluster, cluster_from_environment, end_with_status_of
from sign_keras.training.signals import StopSignals
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.processes import end_with
from tfrecords_tools.settings import add_overrides

if TYPE_CHECKING:  # at run time these load TensorFlow, which --help and a faulty configuration need not wait for
    import keras
    import numpy as np

    from sign_keras.data.dataset import Records
    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.metrics import Predictions
    from sign_keras.run import Run
    from sign_keras.training.workers import Workers

COMMAND = "python -m sign_keras.train"
EXAMPLE = """example:
  python -m sign_keras.train --config configs/cnn_lstm.yaml
  python -m sign_keras.train --config configs/cnn_lstm.yaml --set train.batch_size=8 --run-dir runs/small_batch

The run directory then holds report.html: open it in a browser. On several machines: docs/scale.md.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Trains a model, evaluates it on test signers and exports it, as a configuration says.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="YAML of the experiment")
    add_overrides(parser, "change a setting, e.g. train.epochs=5; may be repeated")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="default: runs/NAME")
    parser.add_argument("--resume", action="store_true", help="go on where --run-dir (or runs/NAME) stopped")
    parser.add_argument(
        "--until-epoch",
        type=int,
        metavar="N",
        help="pause after epoch N and evaluate what is there; --resume then goes on as if nothing had been",
    )
    # For commands that train: killed, they leave no training behind.
    parser.add_argument("--end-with", type=int, help=argparse.SUPPRESS)
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    if arguments.end_with is not None:
        end_with(arguments.end_with)
    config = load_config(arguments.config, arguments.overrides)
    if arguments.until_epoch is not None and arguments.until_epoch < 1:
        raise UserError(f"--until-epoch {arguments.until_epoch}: expected an epoch, from 1")
    cluster = cluster_from_environment()

    def run() -> int:
        with StopSignals("while records were made or opened", "the same command again") as signals:
            return run_experiment(
                config,
                arguments.run_dir,
                resume=arguments.resume,
                until_epoch=arguments.until_epoch,
                signals=signals,
                cluster=cluster,
            )

    return run() if cluster is None else end_with_status_of(run)


def run_experiment(
    config: Config,
    run_dir: Path | None,
    *,
    resume: bool,
    until_epoch: int | None,
    signals: StopSignals,
    cluster: Cluster | None = None,
) -> int:
    """From records to exports; the command's status. On several machines the first does what follows training."""
    quiet_tensorflow(log_errors=cluster is None)

    # Records: made when they are missing, reused when they are there.
    prepare_records(config.records, is_alone=cluster is None)

    from sign_keras.training.workers import Workers

    # Other machines: before TensorFlow computes anything.
    with signals.at_once() if cluster else nullcontext():
        workers = Workers(cluster)
    with workers.noticing_losses():
        run, records = train_run(
            config, run_dir, resume=resume, until_epoch=until_epoch, signals=signals, workers=workers
        )
        if workers.is_chief:
            signals.doing = "after training, while the best epoch was evaluated or exported"
            finish_run(run, records)
        with signals.at_once():
            workers.wait()
    return SUCCESS


def train_run(
    config: Config,
    run_dir: Path | None,
    *,
    resume: bool,
    until_epoch: int | None,
    signals: StopSignals,
    workers: Workers,
) -> tuple[Run, Records]:
    """From records that are there to a run with a best epoch."""
    from sign_keras.data.dataset import Records
    from sign_keras.models import build_model, input_names
    from sign_keras.models.four_stage_ctc import GLOSS_TABLE
    from sign_keras.run import CONFIG_NAME
    from sign_keras.training.trainer import train

    model = config.model
    inputs = input_names(model, config.sampling)
    records = Records.open(config.records.directory, config.sampling, inputs, model.task, model.frames_per_logit)
    check_splits(records, config.evaluate)

    # Run directory: what is to be done, before it is done.
    run = open_run(config, records, run_dir, resume=resume, is_writer=workers.is_chief)
    print(f"run: {run.directory}")
    again = ["--config", run.directory / CONFIG_NAME, "--run-dir", run.directory, "--resume"]
    signals.doing, signals.how_to_go_on = "before training", f"{COMMAND} {shlex.join(map(str, again))}"
    if model.task == "continuous":
        records = leave_out_sentences(records, run, is_writer=workers.is_chief)

    # Training.
    vectors = begin_gloss_vectors(run, records)

    def build() -> keras.Model:
        built = build_model(model, run.clip_input, len(run.label_map))
        if vectors is not None:
            built.get_layer(GLOSS_TABLE).set_weights([vectors])
        return built

    train(run, records, build, resume=resume, until_epoch=until_epoch, signals=signals, workers=workers)
    return run, records


def finish_run(run: Run, records: Records) -> None:
    """Evaluates and exports the best epoch."""
    config = run.config
    # How far its probabilities can be believed, or how its sentences are best read, on the clips that the epoch was
    # chosen by.
    artefact, validation = settle_best_epoch(run, records)

    # Evaluation, on clips that neither training nor the choice of the epoch has seen.
    metrics = evaluate_run(artefact, run, records)
    from sign_keras.pictures.board import show_best_epoch
    from sign_keras.training.trainer import TENSORBOARD_NAME

    show_best_epoch(run.directory / TENSORBOARD_NAME, artefact, run, records, validation, metrics)

    # Export.
    exported = export_run_formats(run, records)

    artefacts = [run.directory / "report.html", *exported]
    print(
        f"{config.evaluate.split} {describe_score(metrics)}; {metrics['clips']} clips, "
        f"{describe_signers(records, config.evaluate.split)}): " + ", ".join(str(path) for path in artefacts)
    )


def describe_score(metrics: dict[str, Any]) -> str:
    """The score that counts and its interval, up to an open bracket."""
    if "word_error_rate" in metrics:
        name, score, interval = "WER", metrics["word_error_rate"]["wer"], metrics["word_error_rate"]["interval"]
    else:
        name, score, interval = "top-1", metrics["top1"], metrics["top1_interval"]
    if interval is None:
        return f"{name} {'not defined' if score is None else f'{score:.3f}'} (no gloss was signed"
    return f"{name} {score:.3f} (95 % interval {interval[0]:.3f} to {interval[1]:.3f}"


def leave_out_sentences(records: Records, run: Run, *, is_writer: bool = True) -> Records:
    """Lists the clips that cannot be trained on in ``infeasible.csv``, and returns the records without them.

    Raises:
        UserError: none would be left.
    """
    from sign_keras.data.planning import plan_training

    planned = plan_training(
        records,
        unseen_sentences=run.config.data.unseen_sentences,
        selection_ratio=run.config.model.selection_ratio,
    )
    if is_writer:
        listed = planned.plan.write_infeasible(run.directory)
        print(planned.summary() + (f": {listed}" if planned.plan.infeasible else ""))
    return planned.records


def begin_gloss_vectors(run: Run, records: Records) -> np.ndarray | None:
    """What the glosses of a model that aligns frames with them begin with; None of any other.

    Raises:
        UserError: see ``gloss_vectors.gloss_vectors``.
    """
    model = run.config.model
    if not isinstance(model, FourStageCTCConfig) or model.alignment is None or model.weights != "none":
        return None
    from sign_keras.gloss_vectors import gloss_vectors

    return gloss_vectors(model.alignment, run.label_map.glosses, records.directory)


def check_splits(records: Records, config: EvaluateConfig) -> None:
    """Stops before hours of training that could not be evaluated.

    Raises:
        UserError: a split that will be needed holds no clip, or none of an unknown sign.
    """
    if config.unknown_records is not None:
        for split in ("validation", config.split):
            check_unknown(config.unknown_records, split, records.label_map)
    for split in ("train", "validation", config.split):
        if not records.num_clips(split):
            raise UserError(
                f"{records.directory}: split {split!r} is empty; give more clips or signers, or set "
                "evaluate.split to one that is not"
            )


def describe_signers(records: Records, split: str) -> str:
    """Who signs in a split, and whether training has seen them: a score means little without it."""
    tested, trained = (set(records.info.splits[name].signers) for name in (split, "train"))
    if not tested:
        return "signers not known"
    seen = len(tested & trained)
    return f"{len(tested)} signers, " + (f"{seen} of them seen in training" if seen else "never seen in training")


def open_run(
    config: Config, records: Records, directory: Path | None, *, resume: bool, is_writer: bool = True
) -> Run:
    """Creates the run directory, or opens it to go on; what is no writer only knows of one that is new.

    Raises:
        UserError: it is taken; or, to go on, it is missing or its configuration or records are others.
    """
    from sign_keras.data.no_sign import model_label_map
    from sign_keras.run import Run

    label_map = model_label_map(records.label_map, config.data.no_sign)
    directory = directory or Path("runs") / config.name
    if not resume:
        begin = Run.create if is_writer else Run
        return begin(directory, config, label_map, records.info)
    run = Run.load(directory)
    # Records may have moved; what they hold is compared below.
    if run.config.model_copy(update={"records": config.records}) != config:
        changed = [name for name in type(config).model_fields if getattr(run.config, name) != getattr(config, name)]
        raise UserError(
            f"{directory}: was begun with another configuration (it differs in {', '.join(changed)}); resume with "
            f"--config {directory / 'config.yaml'}"
        )
    if run.label_map != label_map or run.info.shards != records.info.shards:
        raise UserError(f"{directory}: was begun with other records than {records.directory} holds now")
    return run


def settle_best_epoch(run: Run, records: Records) -> tuple[RunArtefact, Predictions | None]:
    """Calibrates the best epoch, or chooses how its sentences are read; writes what was found into the run
    directory. Returns the model, and of one sign's what it says of the validation clips.
    """
    from sign_keras.inference.run_artefact import RunArtefact

    artefact, validation = RunArtefact(run), None
    if artefact.task == "continuous":
        from sign_keras.sentence_scoring import choose_decoding, describe_decoding

        how = choose_decoding(artefact, records, run.config.evaluate.decoding)
        how.save(run.directory)
        print(describe_decoding(how))
    else:
        from sign_keras.calibrate import calibrate_run, describe

        confidence, validation = calibrate_run(
            artefact, records, run.directory, run.config.evaluate, run.config.data.no_sign
        )
        print(describe(confidence))
    artefact.refresh()
    return artefact, validation


def evaluate_run(artefact: RunArtefact, run: Run, records: Records) -> dict[str, Any]:
    """Evaluates the best epoch and writes the report into the run directory."""
    from sign_keras.evaluate import evaluate

    return evaluate(
        artefact,
        records,
        run.config.evaluate.split,
        run.directory,
        bootstrap_samples=run.config.evaluate.bootstrap_samples,
        views=run.config.evaluate.views,
        run=run,
        unknown_records=run.config.evaluate.unknown_records,
    )


def export_run_formats(run: Run, records: Records) -> list[Path]:
    """Exports what the configuration asks for; returns what was written."""
    if not run.config.export.formats:
        return []
    from sign_keras.export import export_run

    return export_run(run, run.config.export.formats, run.config.export.quantization, records=records)


if __name__ == "__main__":
    run_command(main)
