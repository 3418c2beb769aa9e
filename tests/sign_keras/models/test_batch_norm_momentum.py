import keras
import pytest

from sign_keras.models.backbones import build_backbone


def momenta(network: keras.Model) -> set[float]:
    found = set()
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            found |= momenta(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            found.add(layer.momentum)
    return found


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v2_points"])
def test_momentum_reaches_every_batch_normalisation(name: str):
    options = {"width_multiplier": 0.35, "weights": "none"}
    assert 0.999 in momenta(build_backbone(name, 32, 32, **options))
    assert momenta(build_backbone(name, 32, 32, **options, batch_norm_momentum=0.9)) == {0.9}
