import pytest

from sign_keras.tuning.naming import describe_values, short_names
from sign_keras.tuning.space import Dimension, overlap, value_at


def dimension(**kind):
    return Dimension.model_validate(kind)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        # KerasTuner's own Float leaves out 0.3: 0.3 // 0.1 is 2.
        ({"float": {"min": 0, "max": 0.3, "step": 0.1}}, [0, 0.1, 0.2, 0.3]),
        ({"float": {"min": "1e-4", "max": "1e-2", "step": 10, "log": True}}, [0.0001, 0.001, 0.01]),
        ({"int": {"min": 32, "max": 100, "step": 32}}, [32, 64, 96]),
        ({"int": {"min": 2, "max": 16, "step": 2, "log": True}}, [2, 4, 8, 16]),
        ({"int": {"min": 3, "max": 5}}, [3, 4, 5]),
        ({"choice": [None, [1, 2], True]}, [None, [1, 2], True]),
        ({"float": {"min": 0, "max": 1}}, []),
        ({"int": {"min": 1, "max": 1000, "log": True}}, []),
    ],
)
def test_steps_and_choices_list_their_values(kind, values):
    listed = dimension(**kind).listed()
    assert listed == values
    assert list(map(type, listed)) == list(map(type, values)) or "float" in kind
    assert all(dimension(**kind).holds(value) for value in values)


def test_drawn_numbers_are_tidied_and_stay_within_the_bounds():
    free = dimension(float={"min": 0.00012343, "max": 0.01, "log": True})
    assert free.tidy(0.0012345678) == 0.001235
    assert free.tidy(0.00012343) == 0.00012343  # 0.0001234 would be below it
    assert dimension(int={"min": 4, "max": 9, "log": True}).tidy(9.99) == 9


@pytest.mark.parametrize(
    ("kind", "value", "holds"),
    [
        ({"choice": [0, 1]}, True, False),
        ({"choice": [[1, 2]]}, [1, 2], True),
        ({"int": {"min": 1, "max": 9, "step": 4}}, 4, False),
        ({"int": {"min": 1, "max": 9, "log": True}}, 4.5, False),
        ({"float": {"min": 0.1, "max": 0.5, "step": 0.1}}, 0.3, True),
        ({"float": {"min": 0.1, "max": 0.5, "step": 0.1}}, 0.35, False),
        ({"float": {"min": 0.1, "max": 0.5}}, 0.35, True),
        ({"float": {"min": 0.1, "max": 0.5}}, None, False),
    ],
)
def test_a_field_says_whether_a_search_may_come_upon_a_value(kind, value, holds):
    assert dimension(**kind).holds(value) is holds


def test_fields_are_named_by_as_much_as_tells_them_apart():
    paths = ["model.dropout", "train.learning_rate", "data.noise.probability", "data.mask.probability"]
    assert short_names(paths) == ["dropout", "learning_rate", "noise.probability", "mask.probability"]
    assert describe_values({"model.dim": 96, "train.schedule": {"name": "cosine"}, "model.pooling": "last"}) == (
        'dim 96, schedule {"name": "cosine"}, pooling last'
    )


def test_paths_overlap_by_whole_names():
    assert overlap("model.dim", "model")
    assert overlap("model", "model.dim")
    assert not overlap("train.loss_weights", "train.loss")
    assert value_at({"a": {"b": 3}}, "a.b") == 3
    assert value_at({"a": None}, "a.b") is None
