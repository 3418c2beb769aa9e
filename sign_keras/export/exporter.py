"""``export_run``: writes candidates aside, compares each with the run, and gives them their names when all passed.

Light to import: what needs TensorFlow is imported when the work begins.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from sign_keras.export.targets import FINE_TUNED, FROM_RECORDS, Target, plan
from tfrecords_tools.command_line import UserError

if TYPE_CHECKING:
    from sign_keras.data.dataset import Records
    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.run import Run


def export_run(
    run: "Run",
    formats: Sequence[str],
    quantization: Sequence[str] = ("none",),
    *,
    records: "Records | None" = None,
    output_dir: Path = Path("."),
    progress: bool = True,
) -> list[Path]:
    """Exports a run's best epoch, in float32 whatever the precision it was trained at.

    Writes ``savedmodels/NAME/``, ``tflite/NAME[_quantization].tflite`` and ``onnx/NAME.onnx``, with a ``.json``
    beside each: parity, accuracy, ops, size, latency. Exports of the same name are replaced, all of them or none.

    Args:
        run: the training.
        formats: any of ``targets.FORMATS``.
        quantization: of the TFLite files; any of ``targets.QUANTIZATIONS``.
        records: opened with the run's sampling and inputs; their validation clips are the golden ones, and
            ``targets.FROM_RECORDS`` take ranges from their training clips, or learn from them.
        output_dir: where ``savedmodels``, ``tflite`` and ``onnx`` are.
        progress: whether to show a bar where there is a terminal.

    Returns:
        What was written, reports left out.

    Raises:
        UserError: an export cannot be made, or one differs from the run by more than the configuration's ``export``
            section allows; nothing is written then.
    """
    targets = plan(run.config.name, formats, quantization)
    _check_needs(targets, run, records)
    output_dir.mkdir(parents=True, exist_ok=True)

    import tensorflow as tf

    from sign_keras.export.examination import Examination
    from sign_keras.inference.run_artefact import RunArtefact

    # On the CPU, where everyone can repeat it: GPUs round convolutions to fewer bits than the gate allows.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=output_dir) as scratch, tf.device("/CPU:0"):
        reference = RunArtefact(run)
        examination = Examination(run, reference, records)
        fine_tuning = _write_candidates(targets, Path(scratch), reference, records, progress)
        for target in tqdm(targets, desc="checking exports", disable=None if progress else True):
            examination.examine(target, Path(scratch), fine_tuning.get(target.quantization))
        for target in targets:
            _publish(target, Path(scratch), output_dir)
    return [output_dir / target.path for target in targets]


def _check_needs(targets: Sequence[Target], run: "Run", records: "Records | None") -> None:
    """Raises UserError where something is missing that the work will need, before it begins."""
    if any(target.format == "onnx" for target in targets):
        from sign_keras.export.onnx_file import check_packages

        check_packages()
    for quantization in (target.quantization for target in targets if target.quantization in FROM_RECORDS):
        if quantization in FINE_TUNED:
            from sign_keras.export.fine_tuning import check_fine_tuning

            check_fine_tuning(quantization, run.config)
        if records is None:
            takes = "learns from" if quantization in FINE_TUNED else "takes the ranges of values from"
            raise UserError(
                f"--quantization {quantization}: {takes} the run's training records, and "
                f"{run.config.records.directory} does not hold them; put them there, or choose another "
                "--quantization"
            )


def _write_candidates(
    targets: Sequence[Target],
    scratch: Path,
    reference: "RunArtefact",
    records: "Records | None",
    progress: bool,
) -> dict[str, dict[str, Any]]:
    """Writes every export below ``scratch``, each with its description inside; see ``_write_tflite_candidates``."""
    from sign_keras.inference.info import add_to_onnx, add_to_saved_model

    for target in targets:
        (scratch / target.path).parent.mkdir(exist_ok=True)
        if target.format == "savedmodel":
            from sign_keras.export.saved_model import write_saved_model

            write_saved_model(reference.model, scratch / target.path, step_model=reference.step_model)
            add_to_saved_model(scratch / target.path, reference.info)
        if target.format == "onnx":
            from sign_keras.export.onnx_file import write_onnx

            for path in write_onnx(reference.model, scratch / target.path, reference.step_model):
                add_to_onnx(path, reference.info)
    files = {target.quantization: scratch / target.path for target in targets if target.format == "tflite"}
    return _write_tflite_candidates(files, scratch, reference, records, progress) if files else {}


def _write_tflite_candidates(
    files: dict[str, Path], scratch: Path, reference: "RunArtefact", records: "Records | None", progress: bool
) -> dict[str, dict[str, Any]]:
    """Returns what was fine-tuned, by quantization, for the reports."""
    from sign_keras.export.representative import write_representative_clips
    from sign_keras.export.tflite import write_tflite
    from sign_keras.export.tflite_metadata import add_tflite_metadata
    from sign_keras.inference.info import add_to_tflite

    examples = scratch / "representative"
    config = reference.run.config
    if records is not None and any(quantization in FROM_RECORDS for quantization in files):
        write_representative_clips(records, config.export.representative_clips, config.seed, examples)
    fine_tuning: dict[str, dict[str, Any]] = {}
    for method in (method for method in FINE_TUNED if method in files):
        from sign_keras.export.fine_tuning import fine_tuned_backbone

        with fine_tuned_backbone(reference.model, method, config, examples, progress=progress) as report:
            write_tflite(reference.model, {method: files[method]}, reference.step_model, examples)
        fine_tuning[method] = report
    others = {quantization: path for quantization, path in files.items() if quantization not in FINE_TUNED}
    if others:
        write_tflite(reference.model, others, reference.step_model, examples)
    for path in files.values():
        add_tflite_metadata(path, reference.info)
        add_to_tflite(path, reference.info)
    return fine_tuning


def _publish(target: Target, scratch: Path, output_dir: Path) -> None:
    """Moves an export and its report to their places; the report last, so that it never outruns the export."""
    (output_dir / target.path).parent.mkdir(parents=True, exist_ok=True)
    for path in target.paths:
        if (output_dir / path).is_dir():  # a directory cannot be renamed over: the old one goes with the scratch
            (output_dir / path).rename(scratch / f"old-{path.name}")
        if (scratch / path).exists():
            (scratch / path).replace(output_dir / path)
        else:  # a step that the model does not have any more
            (output_dir / path).unlink(missing_ok=True)
