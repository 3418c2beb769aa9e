import re

import pytest
import yaml

from sign_keras.config import TrainConfig
from tests.conftest import REPOSITORY
from tests.sign_keras.training.tiny_learning import train_config
from tfrecords_tools.settings import SettingsError, validate

REQUIRED = {"epochs": 3, "batch_size": 4, "learning_rate": 0.1}


def test_defaults_are_adam_on_a_cosine():
    config = TrainConfig.model_validate(REQUIRED)
    assert (config.optimizer.name, config.schedule.name, config.loss.name) == ("adam", "cosine", "crossentropy")
    assert (config.accumulate_steps, config.ema_decay, config.class_weights) == (1, None, "none")


def test_a_section_may_be_its_name_alone_or_go_without_it():
    assert train_config(optimizer="sgd").optimizer.momentum == 0.9
    config = TrainConfig.model_validate({**REQUIRED, "schedule": {"warmup_epochs": 2}})
    assert (config.schedule.name, config.schedule.warmup_epochs) == ("cosine", 2)


def test_what_is_written_reads_back():
    config = train_config(
        optimizer="sgd",
        schedule="plateau",
        loss="focal",
        class_weights={"hello": 2},
        unfreeze={2: ["layer1"], 4: ["stem"]},
        learning_rates={"logits": 2.5e-5},
        profile_steps=[3, 4],
    )
    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "adamx"}, "optimizer.*'adam', 'adamw', 'sgd'"),
        ({"optimizer": {"momentum": 0.9}}, r"optimizer\.momentum: does not go with adam; leave it out"),
        ({"optimizer": {"name": "sgd", "momentum": 0, "nesterov": True}}, "nesterov needs a momentum above 0"),
        ({"schedule": {"name": "plateau", "factor": 1}}, r"schedule[.\w]*\.factor: input should be less than 1"),
        ({"class_weights": "balance"}, r"class_weights[.\w]*: input should be 'none', 'balanced' or 'effective'"),
        ({"class_weights": {"hello": 0}}, r"class_weights[.\w]*\.hello: input should be greater than 0"),
        ({"unfreeze": {1: ["stem"]}}, "greater than or equal to 2"),
        ({"unfreeze": {2: ["stem"], 3: ["stem"]}}, "unfreeze: stem: in several epochs"),
        ({"unfreeze": {2: ["stem"]}, "freeze": ["stem"]}, "stem: in freeze, which is for good, and in unfreeze"),
        ({"ema_decay": 1}, "ema_decay: input should be less than 1"),
        ({"profile_steps": [0, 3]}, "profile_steps.0: input should be greater than or equal to 1"),
        ({"profile_steps": [9, 3]}, "profile_steps: the last update, 3, comes before the first, 9"),
        ({"profile_steps": [1, 200]}, "profile_steps: 200 updates: a trace of more than 100"),
        ({"learning_rates": {"logits": 0}}, "learning_rates.logits: input should be greater than 0"),
    ],
)
def test_faults_are_named(settings, message):
    with pytest.raises(SettingsError, match=message):
        validate(TrainConfig, {**REQUIRED, **settings}, "test.yaml")


def test_the_manuals_example_is_valid_and_every_field_is_in_it():
    manual = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", manual, re.DOTALL).group(1)
    config = validate(TrainConfig, yaml.safe_load(example)["train"], "docs/training.md")
    assert config.schedule.name == "cosine_restarts"
    missing = [name for name in TrainConfig.model_fields if f"`{name}" not in manual]
    assert not missing
