"""Run by ``test_interrupted.py``: ``sign_keras.train``, which sends itself a signal when a step begins.

Arguments: the step, counted from 1 over the process; the signal's number; then the command's.
"""

import os
import sys
from collections.abc import Mapping

from sign_keras import train
from sign_keras.training import keeping
from tfrecords_tools.command_line import run_command


def main() -> None:
    step, number = int(sys.argv[1]), int(sys.argv[2])
    del sys.argv[1:3]
    taken = 0

    class Killed(keeping.KeepCheckpoints):
        def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
            nonlocal taken
            taken += 1
            if taken == step:
                os.kill(os.getpid(), number)

    from sign_keras.training import trainer

    trainer.KeepCheckpoints = Killed  # type: ignore[misc]
    run_command(train.main)


if __name__ == "__main__":
    main()
