"""Signals without a training: what is raised where, and what a command makes of it."""

import os
import signal
import threading

import pytest

from sign_keras.training.signals import StopSignals
from tfrecords_tools.command_line import Stopped


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_outside_of_training_stops_at_once_in_one_line(run_main, number, status):
    def main():
        with StopSignals("during evaluation", "train --resume"):
            os.kill(os.getpid(), number)
        return 0

    assert run_main(main) == (
        status,
        "",
        f"stopped by {number.name} (during evaluation); to go on: train --resume\n",
    )


def step_and_save(signals, number):
    """What a training does whose step the signal comes in."""
    with signals.between_steps():
        assert not signals.is_received
        os.kill(os.getpid(), number)
        assert signals.is_received
        signals.stop("saved")


def test_a_signal_between_steps_waits_until_all_is_saved():
    with StopSignals() as signals:
        with pytest.raises(Stopped, match=r"^stopped by SIGTERM \(saved\); to go on: start it again$") as stopped:
            step_and_save(signals, signal.SIGTERM)
        assert stopped.value.number == signal.SIGTERM
        # Not waited for any more.
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)


def step_on(signals, times):
    """What a training does that nobody asks to stop, and what comes after it."""
    with signals.between_steps():
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        if times > 1:
            pytest.fail("it went on")
    pytest.fail("it was evaluated")


@pytest.mark.parametrize("times", [1, 2])
def test_a_second_signal_does_not_wait_and_the_first_not_beyond_the_last_step(times):
    with StopSignals("all is trained") as signals, pytest.raises(Stopped, match="all is trained"):
        step_on(signals, times)


def test_handlers_are_put_back_and_left_alone_in_other_threads():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before

    def enter():
        with StopSignals():
            found.append(signal.getsignal(signal.SIGTERM))

    found = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [before]
