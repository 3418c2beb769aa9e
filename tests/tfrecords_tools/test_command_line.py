import os

import pytest

from tfrecords_tools.command_line import UserError, quiet_stderr


def test_quiet_stderr_hides_c_code_and_nothing_afterwards(capfd):
    with quiet_stderr():
        os.write(2, b"noise of a library")
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"


def test_quiet_stderr_shows_all_when_it_fails(capfd):
    @quiet_stderr()
    def fail() -> None:
        os.write(2, b"the reason")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capfd.readouterr().err == "the reason"


def raises(error: BaseException):
    def main() -> int:
        raise error

    return main


def test_statuses(run_main, tmp_path):
    assert run_main(lambda: 1) == (1, "", "")
    assert run_main(raises(UserError("a: wrong\n  so mend it"))) == (2, "", "error: a: wrong so mend it\n")
    assert run_main(raises(KeyboardInterrupt())) == (130, "", "interrupted\n")
    status, _, stderr = run_main(lambda: (tmp_path / "x").open().fileno())
    assert (status, stderr) == (2, f"error: {tmp_path / 'x'}: No such file or directory\n")


def test_a_fault_of_ours_keeps_its_traceback():
    from tfrecords_tools.command_line import run_command

    with pytest.raises(ZeroDivisionError):
        run_command(raises(ZeroDivisionError()))
