import keras
import pydantic
import pytest

from sign_keras.config import ModelConfig
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.pictures.diagram import Box, Graph, arrange, walk
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

PICTURES = {
    "backbone": "mobilenet_v2",
    "backbone_width": 0.35,
    "backbone_weights": "none",
    "backbone_trainable": False,
}
KEYPOINTS = {
    "features": {"points": "right_hand"},
    "dim": 8,
    "heads": 2,
    "stages": 2,
    "conv_blocks": 3,
    "top_units": 8,
}
MODELS = {
    "cnn_lstm": {**PICTURES, "lstm_units": 4, "motion_lags": [1]},
    "keypoint_ctc": {**KEYPOINTS, "downsampling": 2, "lstm_units": [4]},
    "four_stage_ctc": {
        **PICTURES,
        "grid": 2,
        "width": 4,
        "alignment": {"width": 4, "text_width": 4},
        "lstm_units": [4],
    },
}


@pytest.fixture(scope="module", params=MODELS)
def model(request) -> keras.Model:
    config = pydantic.TypeAdapter(ModelConfig).validate_python(
        {"architecture": request.param, **MODELS[request.param]}
    )
    sampling = SamplingSpec(num_frames=6, height=32, width=32, frame_rate=10)
    return build_model(config, ClipInput(sampling, layout=MEDIAPIPE_HOLISTIC), 5)


def test_every_layer_is_there_once_with_its_shape_and_its_parameters(model):
    boxes = walk(model).boxes
    assert sorted(name for box in boxes if box.is_layer for name in box.layers) == sorted(
        layer.name for layer in model.layers
    )
    for box in boxes:
        for name in box.layers if box.is_layer else ():
            outputs = keras.tree.flatten(model.get_layer(name).output)
            assert box.shapes == tuple(tensor.shape for tensor in outputs)
    assert sum(box.parameters for box in boxes) == model.count_params()


def test_the_logits_are_reached_from_the_input(model):
    graph = walk(model)
    names = [box.layers[0] for box in graph.boxes]
    reached = {names.index("frames" if "frames" in names else "keypoints")}
    for giver, taker in sorted(graph.edges, key=lambda edge: edge[1]):
        if giver in reached:
            reached.add(taker)
    assert names.index("logits") in reached
    lonely = set(range(len(names))) - {end for edge in graph.edges for end in edge}
    assert {names[place] for place in lonely} <= {"frame_mask"}


def test_lines_go_down_and_through_no_box(model):
    graph = walk(model)
    layout = arrange(graph)
    cells = list(zip(layout.rows, layout.columns, strict=True))
    assert len(set(cells)) == len(cells)
    for (giver, taker), route in zip(graph.edges, layout.routes, strict=True):
        assert (route[0], route[-1]) == (cells[giver], cells[taker])
        assert [row for row, _ in route] == list(range(layout.rows[giver], layout.rows[taker] + 1))
        assert not set(route[1:-1]) & set(cells)


def chain(*layers: keras.layers.Layer) -> Graph:
    values = keras.Input((4, 8), name="keypoints")
    outputs = values
    for layer in layers:
        outputs = layer(outputs)
    return walk(keras.Model({"keypoints": values}, outputs))


def test_layers_alike_that_follow_each_other_are_one_box():
    graph = chain(*(keras.layers.Dense(8, name=f"same{number}") for number in (1, 2, 3)), keras.layers.Dense(5))
    same = graph.boxes[1]
    assert same.layers == ("same1", "same2", "same3")
    assert (same.title, same.what, same.parameters) == ("same1 to same3", "3 x Dense", 3 * 72)
    assert (same.shape, graph.boxes[2].shape) == ("B x 4 x 8", "B x 4 x 5")
    assert graph.edges == ((0, 1), (1, 2))


def test_layers_are_not_put_together_across_a_branch():
    values = keras.Input((4, 8), name="keypoints")
    first = keras.layers.Dense(8, name="first")(values)
    second = keras.layers.Dense(8, name="second")(first)
    graph = walk(keras.Model({"keypoints": values}, keras.layers.Add(name="sum")([first, second])))
    assert [box.layers for box in graph.boxes] == [("keypoints",), ("first",), ("second",), ("sum",)]
    assert graph.edges == ((0, 1), (1, 2), (1, 3), (2, 3))
    # The way around the second layer is a lane of its own.
    assert arrange(graph).routes[2] == ((1, 0), (2, 1), (3, 0))


def test_what_a_layer_holds_is_named():
    inner = keras.Sequential([keras.Input((4, 8)), keras.layers.Dense(3, name="a"), keras.layers.ReLU(name="b")])
    both = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True), name="lstm1")
    assert chain(both).boxes[1].inside == "LSTM, both ways"
    assert chain(keras.layers.Dense(8), inner).boxes[2].inside == "a, b"


def test_titles_of_few_layers_name_all():
    assert Box(("a", "b"), "Dense", ((None, 2),), 0, "", True).title == "a, b"
