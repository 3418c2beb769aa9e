"""A kill before every single operation on files, damaged files, and a disk without room."""

import os
import resource
import shutil
import signal
import sys
from contextlib import contextmanager
from copy import deepcopy

import pytest

from sign_keras.training.checkpoints import Checkpoints
from sign_keras.training.state import TrainingState
from tests.sign_keras.training.tiny_learning import fit, tiny_recipe, values
from tfrecords_tools.command_line import UserError


class KilledError(BaseException):
    """Stands in for SIGKILL: nothing after it runs."""


class Faults:
    """Raises before an operation on files below a folder: opening to write, renaming, removing.

    As Python's audit events tell of them, none is left out, whatever the code calls. What HDF5 writes by itself
    is seen by the renames before and after.
    """

    def __init__(self):
        self.folder, self.left = None, 0
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if self.folder is None or event not in ("open", "os.rename", "os.remove"):
            return
        path = os.fspath(arguments[0]) if isinstance(arguments[0], str | os.PathLike) else ""
        reads = event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        if reads or not path.startswith(self.folder):
            return
        self.left -= 1
        if self.left == 0:
            raise KilledError

    @contextmanager
    def after(self, operations, folder):
        """Within, so many operations are done, and then nothing any more."""
        self.folder, self.left = str(folder), operations + 1
        try:
            yield
        finally:
            self.folder = None


FAULTS = Faults()


class Training:
    """A model that learns by steps of one update, and can be compared with what was saved."""

    def __init__(self, folder):
        self.folder, self.best = folder, folder / "best.weights.h5"
        self.recipe = tiny_recipe(ema_decay=0.9)
        self.checkpoints = Checkpoints(folder, self.best)
        self.state = TrainingState()

    def step(self, *, best):
        fit(self.recipe, count=4)
        self.state = deepcopy(self.state)
        self.state.epoch += 1
        if best:
            self.state.best_epoch, self.state.best_value = self.state.epoch, 1 / self.state.epoch

    def save(self, *, best):
        self.checkpoints.save(self.recipe.learner, self.state, is_best=best)

    def weights(self):
        return [value.tobytes() for value in values([*self.recipe.learner.variables, *self.optimizer_variables])]

    @property
    def optimizer_variables(self):
        return self.recipe.learner.optimizer.variables


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with two checkpoints, and for each epoch what a training's weights were then, up to a third."""
    training = Training(tmp_path_factory.mktemp("saved"))
    weights = {}
    for epoch in (1, 2, 3):
        training.step(best=epoch != 2)
        weights[epoch] = training.weights()
        if epoch < 3:
            training.save(best=epoch != 2)
    return training, weights


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the folder, for a test to damage."""
    shutil.copytree(saved[0].folder, tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def restore(saved, folder):
    """The restored state, what was said, and the epoch whose weights there are."""
    training, weights = saved
    before = values([*training.recipe.learner.variables, *training.optimizer_variables])
    said = []
    try:
        checkpoints = Checkpoints(folder, folder / "best.weights.h5")
        state = checkpoints.find(said.append)
        checkpoints.load(training.recipe.learner, state)
        [epoch] = [epoch for epoch, of_epoch in weights.items() if of_epoch == training.weights()]
    finally:
        variables = [*training.recipe.learner.variables, *training.optimizer_variables]
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    return state, said, epoch


def third(saved, folder):
    """Does what a training does that was restored and then ends its third epoch."""
    training, weights = saved
    checkpoints = Checkpoints(folder, folder / "best.weights.h5")
    variables = [*training.recipe.learner.variables, *training.optimizer_variables]
    now = values(variables)
    checkpoints.load(training.recipe.learner, checkpoints.find(lambda said: None))
    for variable, value in zip(variables, now, strict=True):
        variable.assign(value)
    assert training.weights() == weights[3]
    return checkpoints, deepcopy(training.state)


def save_until(saved, folder, operations):
    """Goes on as a training does and saves the third epoch; dies after so many operations. Whether it did not."""
    try:
        checkpoints, state = third(saved, folder)
        with FAULTS.after(operations, folder):
            checkpoints.save(saved[0].recipe.learner, state, is_best=True)
    except KilledError:
        return False
    return True


def test_a_kill_before_any_operation_on_files_costs_no_whole_checkpoint(saved, folder, tmp_path):
    """What is restored is the second epoch or the third, whole, with its best epoch."""
    restored = []
    for operations in range(100):
        copy = shutil.copytree(folder, tmp_path / f"killed_{operations}")
        ended = save_until(saved, copy, operations)
        restored.append(check_restored(saved, copy))
        if ended:
            break
    assert len(restored) > 8
    assert restored == sorted(restored)
    assert set(restored) == {2, 3}


@pytest.mark.slow
def test_nor_does_a_second_kill_in_what_follows(saved, folder, tmp_path):
    """Killed after every number of operations of one save, and then of the restore and save after it."""
    pairs = 0
    for operations in range(100):
        once = shutil.copytree(folder, tmp_path / f"killed_{operations}")
        if save_until(saved, once, operations):
            break
        for again in range(100):
            twice = shutil.copytree(once, tmp_path / f"killed_{operations}_{again}")
            try:
                with FAULTS.after(again, twice):
                    checkpoints, state = third(saved, twice)
                    checkpoints.save(saved[0].recipe.learner, state, is_best=True)
                break
            except KilledError:
                pairs += 1
            check_restored(saved, twice)
            shutil.rmtree(twice)
    print(f"{pairs} pairs of kills")
    assert pairs > 64


def check_restored(saved, folder):
    state, said, epoch = restore(saved, folder)
    assert state.epoch == epoch
    # The best epoch's file is the one that the state means, or the state knows that it is not.
    assert state.best_epoch == {2: 1, 3: 3}[epoch]
    assert said == []
    return epoch


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000] if path.stat().st_size > 1000 else path.read_bytes()[:-10])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


DAMAGES = [truncate, flip_a_bit, empty, remove]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["last.weights.h5", "state.json"])
def test_a_damaged_newest_checkpoint_falls_back_and_says_so(saved, folder, name, damage):
    damage(folder / name)
    state, said, epoch = restore(saved, folder)
    assert (state.epoch, epoch) == (1, 1)
    assert said == [f"{folder}: the newest checkpoint is damaged or gone; going back to epoch 1"]
    # It has become the newest, so that the next one cannot cost it.
    assert restore(saved, folder)[1:] == ([], 1)


def test_a_number_that_changed_in_a_state_is_noticed(saved, folder):
    text = (folder / "state.json").read_text()
    (folder / "state.json").write_text(text.replace('"epoch": 2', '"epoch": 3'))
    assert restore(saved, folder)[0].epoch == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_two_damaged_checkpoints_are_one_line(saved, folder, damage):
    for name in ("last.weights.h5", "previous.weights.h5"):
        damage(folder / name)
    with pytest.raises(UserError, match=r"checkpoints are damaged or gone .*; start anew with another --run-dir"):
        restore(saved, folder)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_best_epoch_is_no_best_epoch(saved, folder, damage):
    damage(folder / "best.weights.h5")
    state, [said], epoch = restore(saved, folder)
    assert (state.epoch, epoch) == (2, 2)
    assert (state.best_epoch, state.best_value) == (0, None)
    assert "best.weights.h5: is not epoch 1's" in said


def test_without_any_checkpoint_training_begins(saved, tmp_path):
    training, _ = saved
    checkpoints = Checkpoints(tmp_path, tmp_path / "best.weights.h5")
    assert checkpoints.find() == TrainingState()
    before = training.weights()
    checkpoints.load(training.recipe.learner, TrainingState())
    assert training.weights() == before


@contextmanager
def largest_file(size):
    """The system refuses to write files beyond it, as a full disk does, whoever writes."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_the_system_refuses_to_write_is_one_line_and_costs_nothing(saved, folder):
    checkpoints, state = third(saved, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with largest_file(8192), pytest.raises(UserError) as error:
        checkpoints.save(saved[0].recipe.learner, state, is_best=True)
    assert str(error.value).startswith(f"{folder / 'last.weights.h5'}: cannot be written (")
    assert str(error.value).endswith("then go on with --resume")
    assert "\n" not in str(error.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    checkpoints.save(saved[0].recipe.learner, state, is_best=True)
    assert check_restored(saved, folder) == 3


@pytest.mark.parametrize("name", ["previous.json", "state.json"])
def test_a_full_disk_while_the_state_is_written_costs_nothing(saved, folder, name):
    checkpoints, state = third(saved, folder)
    full = folder / f".{name}.partial"
    full.symlink_to("/dev/full")
    message = rf"{name}: cannot be written \(No space left on device\); make room there, then go on with --resume"
    with pytest.raises(UserError, match=message):
        checkpoints.save(saved[0].recipe.learner, state, is_best=True)
    assert check_restored(saved, folder) == 2
    third(saved, folder)[0].save(saved[0].recipe.learner, state, is_best=True)
    assert check_restored(saved, folder) == 3
