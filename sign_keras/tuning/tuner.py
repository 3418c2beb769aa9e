"""KerasTuner's loop over trials: draws one, trains it, tells the oracle, prints a line."""

import time

from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial as DrawnTrial
from keras_tuner.engine.trial import TrialStatus

from sign_keras.tuning.hparams import write_trial
from sign_keras.tuning.naming import describe_values
from sign_keras.tuning.oracles import OF_HYPERBAND, build_oracle, plain_values
from sign_keras.tuning.plan import Plan
from sign_keras.tuning.trials import Trial, TrialFailedError, read_trial, run_trial
from tfrecords_tools.command_line import UserError

STATE_FOLDER = "keras_tuner"
IDLE_SECONDS = 2.0
# So many failures and nothing else: the fault is not the trials'.
FAILURES_TO_STOP_AT = 3


class SearchTuner(BaseTuner):
    """Does a search's trials, alone, as the chief, or as a worker (``workers``)."""

    def __init__(self, plan: Plan) -> None:
        oracle = build_oracle(plan)
        super().__init__(oracle, directory=str(plan.runs), project_name=STATE_FOLDER)
        if not self._is_worker() and oracle.was_begun:
            oracle.reload()
        self._plan, self._drawn = plan, oracle
        self._is_idle = False
        self._failures = 0

    def save(self) -> None:
        """Keeps what the oracle knows: there is nothing else to a search."""
        if not self._is_worker():
            self.oracle.save()

    def pre_create_trial(self) -> None:
        """Where the oracle had nothing to do a moment ago, gives others the time to end their trials."""
        if self._is_idle:
            time.sleep(IDLE_SECONDS)
        self._is_idle = True

    def on_trial_begin(self, trial: DrawnTrial) -> None:
        """Starts the clock."""
        super().on_trial_begin(trial)
        self._is_idle = False
        self._started = time.monotonic()

    def run_trial(self, trial: DrawnTrial) -> dict[str, float]:
        """Trains a trial: the monitored quantity's mean over seeds.

        Raises:
            TrialFailedError: see ``trials.run_trial``.
        """
        drawn = trial.hyperparameters.values
        values = plain_values(self._plan.tuning.space, drawn)
        until_epoch = drawn.get(f"{OF_HYPERBAND}epochs")
        return {self._plan.monitor: run_trial(self._plan, self._number(trial), values, until_epoch)}

    def _number(self, trial: DrawnTrial) -> int:
        """Of the folder: a trial that goes on with another one shares its folder."""
        while (parent := trial.hyperparameters.values.get(f"{OF_HYPERBAND}trial_id")) is not None:
            trial = self.oracle.get_trial(parent)
        return int(trial.trial_id)

    def _try_run_and_update_trial(self, trial: DrawnTrial) -> None:
        """As KerasTuner's, which prints a traceback of what fails, and takes our own faults for the trial's."""
        try:
            metrics = self.run_trial(trial)
        except TrialFailedError as error:
            trial.status, trial.message = TrialStatus.FAILED, str(error)
        else:
            self.oracle.update_trial(trial.trial_id, metrics)
            trial.status = TrialStatus.COMPLETED

    def on_trial_end(self, trial: DrawnTrial) -> None:
        """Tells the oracle, TensorBoard and people.

        Raises:
            UserError: all have failed so far.
        """
        super().on_trial_end(trial)
        plan = self._plan
        values = plain_values(plan.tuning.space, trial.hyperparameters.values)
        found = read_trial(plan, self._number(trial), values)
        write_trial(plan, found)
        # Where none has a score, KerasTuner gives one that has not.
        best = [other for other in self.oracle.get_best_trials(1) if other.status == TrialStatus.COMPLETED]
        number, minutes = int(trial.trial_id), (time.monotonic() - self._started) / 60
        name = f"trial {number}" + (f" (goes on with {found.number})" if number != found.number else "")
        if found.reason:
            self._failures += 1
            said = f"failed: {found.reason}"
        else:
            said = f"{plan.monitor} {found.score:.4f} ({found.epochs} of {plan.common.train.epochs} epochs)"
            said += ", best so far" if best[0].trial_id == trial.trial_id else ""
        print(f"{name}: {said}; {describe_values(values)}; {minutes:.1f} min", flush=True)
        if not best and self._failures >= FAILURES_TO_STOP_AT:
            raise UserError(
                f"the first {self._failures} trials failed, the last because: {found.reason}; mend that, then "
                f"delete {plan.runs} and start again"
            )

    @property
    def num_failed(self) -> int:
        """Trials that have failed in this process."""
        return self._failures

    def tried(self) -> list[Trial]:
        """All configurations that have ended, by number; not of a worker, who knows its own alone."""
        plan, found = self._plan, {}
        for drawn in self._drawn.trials.values():
            if drawn.status not in (TrialStatus.COMPLETED, TrialStatus.FAILED):
                continue
            values = plain_values(plan.tuning.space, drawn.hyperparameters.values)
            found[self._number(drawn)] = values
        return [read_trial(plan, number, found[number]) for number in sorted(found)]
