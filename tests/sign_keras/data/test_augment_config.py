import pytest

from sign_keras.config import DataConfig, KeypointAugmentConfig
from tests.conftest import REPOSITORY
from tfrecords_tools.settings import SettingsError, validate


def test_everything_is_off_by_default():
    config = DataConfig().augment_keypoints
    assert not config.is_on
    assert not any(step.probability for step in config.steps.values())


@pytest.mark.parametrize("name", KeypointAugmentConfig().steps)
def test_a_probability_alone_turns_a_step_on(name):
    config = KeypointAugmentConfig.model_validate({name: {"probability": 0.5}})
    assert config.is_on
    assert config.steps[name].probability == 0.5
    assert KeypointAugmentConfig.model_validate(config.model_dump(mode="json")) == config


def test_interpolation_alone_is_on():
    assert KeypointAugmentConfig(interpolate=True).is_on


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temporal_mask": {"length": [0.4, 0.2]}}, r"temporal_mask\.length: goes from 0\.4 down to 0\.2"),
        ({"spatial_mask": {"side": [0.2, 1.2]}}, r"spatial_mask\.side.*less than or equal to 1"),
        ({"affine": {"scale": 1}}, r"affine\.scale: input should be less than 1"),
        ({"affine": {"angle": 10}}, r"affine\.angle: unknown key"),
        ({"noise": {"probability": 2}}, r"noise\.probability: input should be less than or equal to 1"),
        ({"mirror": 0.5}, r"mirror: unknown key"),
    ],
)
def test_faults_are_named(settings, message):
    with pytest.raises(SettingsError, match=message):
        validate(DataConfig, {"augment_keypoints": settings}, "test.yaml")


def test_the_manual_knows_every_field():
    manual = (REPOSITORY / "docs" / "augmentation.md").read_text(encoding="utf-8")
    config = DataConfig()
    names = [*type(config.augment).model_fields, *KeypointAugmentConfig.model_fields]
    for step in config.augment_keypoints.steps.values():
        names += [name for name in type(step).model_fields if name != "probability"]
    assert not [name for name in names if f"`{name}" not in manual]
