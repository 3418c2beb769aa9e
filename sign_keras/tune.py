"""``python -m sign_keras.tune``: which settings are best? Many are trained, and compared on validation clips.

A YAML says what may change and how it is searched (``docs/tuning.md``). Output: the trials' runs,
``RUNS/trial_0003/seed_1`` and so on, ``RUNS/trials.md``, ``RUNS/best.yaml``, and ``RUNS/tensorboard``. What is done
is not done again, and what was interrupted goes on, so the same command continues where it was stopped.
"""

import argparse
import contextlib
from pathlib import Path

from sign_keras.data.preparation import prepare_records
from sign_keras.quiet import quiet_tensorflow
from sign_keras.tuning.naming import describe_values
from sign_keras.tuning.plan import Plan, load_plan
from sign_keras.tuning.workers import Role, chief_answers, role_of
from tfrecords_tools.command_line import SKIPPED_INPUTS, SUCCESS, run_command
from tfrecords_tools.journal import folder_lock, write_atomically
from tfrecords_tools.settings import add_overrides

EXAMPLE = """example:
  python -m sign_keras.tune --config configs/tune/cnn_lstm.yaml --max-trials 10
  python -m sign_keras.train --config runs/tune_cnn_lstm/best.yaml

Stopped, the same command goes on. trials.md has all trials; best.yaml is a configuration to train.
Status 1: some trials failed; trials.md says why. docs/tuning.md says how several processes share a search.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.tune",
        description="Searches for the settings with which a configuration does best on validation clips.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="YAML of the search")
    parser.add_argument("--max-trials", type=int, metavar="N", help="in place of search.max_trials")
    add_overrides(parser, "change a setting of the base, for all trials and best.yaml; may be repeated")
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help="folder for trials and tables (default: runs/tune_FILE)"
    )
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    plan = load_plan(arguments.config, arguments.overrides, arguments.runs, arguments.max_trials)
    role = role_of()
    if role is Role.WORKER:
        return search(plan, role)
    prepare_records(plan.common.records)
    plan.claim()
    with folder_lock(plan.runs / ".lock", f"{plan.runs}: another search is running there; wait for it"):
        return search(plan, role)


def search(plan: Plan, role: Role) -> int:
    """Does what is left of a search, and writes what it found; returns the command's status.

    Raises:
        UserError: all trials failed.
    """
    quiet_tensorflow()
    import tensorflow as tf

    # Trainings are processes of their own: no memory of their GPU is held here, unless it is in use already.
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")
    from sign_keras.tuning.hparams import write_experiment
    from sign_keras.tuning.outcome import format_best, format_trials, in_order
    from sign_keras.tuning.tuner import SearchTuner

    tuner = SearchTuner(plan)
    if role is Role.WORKER:
        with chief_answers():
            tuner.oracle.get_space()  # waits until the chief is there, and has claimed the folder
            plan.claim()
            tuner.search()
        return SKIPPED_INPUTS if tuner.num_failed else SUCCESS
    print(
        f"search: {plan.tuning.search.name}, {plan.runs}" + (", as chief" if role is Role.CHIEF else ""), flush=True
    )
    write_experiment(plan)
    tuner.search()
    trials = tuner.tried()
    page, best = plan.runs / "trials.md", plan.runs / "best.yaml"
    text = format_trials(plan, trials)
    write_atomically(page, text)
    print(text)
    write_atomically(best, format_best(plan, trials))
    first = in_order(plan, trials)[0]
    print(f"best: trial {first.number}, {describe_values(first.values)}: {best}; all trials: {page}")
    return SKIPPED_INPUTS if any(trial.reason for trial in trials) else SUCCESS


if __name__ == "__main__":
    run_command(main)
