import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from sign_keras.pictures.curves import draw_curves, group_history
from sign_keras.reporting.charts import read_history
from tests.sign_keras.pictures.conftest import HISTORY


@pytest.fixture
def history(tmp_path) -> dict[str, np.ndarray]:
    (tmp_path / "history.csv").write_text(HISTORY)
    return read_history(tmp_path / "history.csv")


def test_what_belongs_together_is_in_one_chart(history):
    found = {curves.name: curves.lines for curves in group_history(history)}
    assert list(found) == [
        "learning_loss",
        "learning_stage_losses",
        "learning_wer",
        "learning_loss_weights",
        "learning_rates",
    ]
    assert list(found["learning_loss"]) == ["training", "validation"]
    assert found["learning_wer"]["validation"][:2].tolist() == [1.1, 0.5]
    assert list(found["learning_stage_losses"]) == ["ctc", "ctc, validation"]
    assert found["learning_loss_weights"]["ctc"].tolist() == [2.0, 1.9, 1.8]
    assert list(found["learning_rates"]) == ["all others", "scorer"]


def test_a_history_without_stages_has_no_charts_of_them(history):
    plain = {name: history[name] for name in ("epoch", "loss", "val_loss", "learning_rate", "seconds")}
    found = {curves.name: list(curves.lines) for curves in group_history(plain)}
    assert found == {"learning_loss": ["training", "validation"], "learning_rates": ["all stages"]}


def test_gradients_of_all_stages_are_in_one_chart():
    history = {
        "epoch": np.array([1.0, 2.0]),
        "gradient_norm": np.array([3.0, 2.0]),
        "gradient_norm_frame_features": np.array([np.nan, 1.0]),
        "gradient_norm_lstm": np.array([2.0, 1.0]),
        "input_wait": np.array([0.4, 0.1]),
    }
    found = {curves.name: list(curves.lines) for curves in group_history(history)}
    assert found == {
        "learning_input_wait": ["training"],
        "learning_gradients": ["all stages", "frame features", "lstm"],
    }


def test_columns_without_a_number_are_not_shown():
    assert group_history({"epoch": np.array([1.0]), "loss": np.array([np.nan])}) == []


@pytest.mark.parametrize("length", [1, 3])
def test_charts_hold_the_values_and_mark_the_kept_epoch(history, length):
    short = {name: values[:length] for name, values in history.items()}
    for curves in group_history(short):
        figure = Figure()
        axes = draw_curves(curves, short["epoch"], kept=length - 1).draw(figure)
        lines = {line.get_label(): line for line in axes.get_lines()}
        for name, values in curves.lines.items():
            assert np.array_equal(lines[name].get_ydata(), values, equal_nan=True)
        assert lines["kept"].get_xdata()[0] == length
        figure.savefig(io.BytesIO(), format="png")  # one epoch, or one number, is no axis of width 0
