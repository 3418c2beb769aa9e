from typing import Any

import pydantic
import pytest

from sign_keras.config import Config, ModelConfig

ADAPTER: Any = pydantic.TypeAdapter(ModelConfig)
CAUSAL = {"architecture": "keypoint_conv_transformer", "causal": True, "features": {"causal": True}}


def test_all_reasons_against_a_causal_model_are_named():
    with pytest.raises(pydantic.ValidationError) as error:
        ADAPTER.validate_python(
            {
                "architecture": "keypoint_conv_transformer",
                "causal": True,
                "padding": "same",
                "pooling": "attention",
            }
        )
    message = str(error.value)
    assert "transformer_blocks: attention looks at the whole clip; set it to 0" in message
    for name in ("padding: same", "pooling: attention", "features.causal: is false"):
        assert name in message


def test_causal_models_need_a_stream_rate():
    values = {
        "name": "stream",
        "records": {"directory": "data"},
        "sampling": {"num_frames": 8, "height": 32, "width": 32},
        "model": CAUSAL | {"transformer_blocks": 0},
        "train": {"epochs": 1, "batch_size": 2, "learning_rate": 0.01},
    }
    with pytest.raises(pydantic.ValidationError, match=r"frame_rate: missing.*set it to the stream's rate"):
        Config.model_validate(values)
    values["sampling"] = {"num_frames": 8, "frame_rate": 15, "height": 32, "width": 32}
    assert Config.model_validate(values).model.is_causal


def test_causal_features_cannot_interpolate():
    section = CAUSAL | {"transformer_blocks": 0, "features": {"causal": True, "missing": "interpolate"}}
    with pytest.raises(pydantic.ValidationError, match="interpolate looks at frames to come"):
        ADAPTER.validate_python(section)


def test_heads_divide_the_features():
    with pytest.raises(pydantic.ValidationError, match="heads: 3 do not divide dim 32"):
        ADAPTER.validate_python({"architecture": "keypoint_transformer", "dim": 32, "heads": 3})


@pytest.mark.parametrize(
    ("changes", "is_causal"),
    [
        ({"features": {"causal": True}}, True),
        ({"features": {"causal": True}, "pooling": "mean"}, True),
        ({"features": {"causal": True}, "bidirectional": True}, False),
        ({}, False),
    ],
)
def test_recurrent_layers_are_causal_where_they_read_one_way(changes, is_causal):
    config = ADAPTER.validate_python({"architecture": "keypoint_gru", "units": [4]} | changes)
    assert config.is_causal is is_causal


def test_a_stack_has_a_layer():
    with pytest.raises(pydantic.ValidationError, match="at least 1 item"):
        ADAPTER.validate_python({"architecture": "keypoint_lstm", "units": []})
