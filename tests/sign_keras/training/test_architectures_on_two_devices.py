"""Whole trainings of every architecture on two devices: the weights, histories and scores of one.

Two epochs of SGD with a last batch that is smaller, padded clips among them; without dropout, and with batch
normalisation frozen: both are a device's own. One process for all, as devices are set up once.
"""

import json
import subprocess
import sys

import pytest

from sign_keras.models import ARCHITECTURES
from tests.conftest import REPOSITORY
from tests.sign_keras.training.trained_on_two_devices import RECIPES

# Largest difference of any weight, or of the optimiser's state; and of what the history says, as a share.
FLOAT32, HISTORY = 1e-5, 1e-3
# Sums of bfloat16 keep 8 bits, of float16 11: what is added in another order is rounded otherwise, and GradNorm
# divides by what came of it.
BFLOAT16, BFLOAT16_GRADNORM, FLOAT16, MIXED_HISTORY = 5e-4, 5e-3, 1e-4, 0.05
ALL = (*ARCHITECTURES, *RECIPES)


@pytest.fixture(scope="module")
def trained(
    tiny_records, tiny_keypoint_records, tiny_sentence_records, tiny_video_sentence_records, tmp_path_factory
):
    records = {
        "videos": tiny_records,
        "keypoints": tiny_keypoint_records,
        "sentences": tiny_sentence_records,
        "video_sentences": tiny_video_sentence_records,
    }
    asked = json.dumps(
        {"names": ALL, "output": tmp_path_factory.mktemp("trained"), "records": records}, default=str
    )
    command = [sys.executable, "-m", "tests.sign_keras.training.trained_on_two_devices", asked]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith("found "):
            found |= json.loads(line.removeprefix("found "))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_architecture_ends_on_two_devices_as_on_one(name, trained):
    found = trained[name]
    tolerance, share = FLOAT32, HISTORY
    if "bfloat16" in name:
        tolerance, share = BFLOAT16_GRADNORM if "gradnorm" in name else BFLOAT16, MIXED_HISTORY
    elif "float16" in name:
        tolerance, share = FLOAT16, MIXED_HISTORY
    assert found["moved"] > 3 * tolerance  # it has learnt
    assert found["difference"] < tolerance
    alone, together = found["histories"]
    assert len(alone) == len(together) == 2
    for row, other in zip(alone, together, strict=True):
        assert other == pytest.approx(row, rel=share, abs=share)
        if "mixed" not in name:  # no answer is another one
            scores = [key for key in row if key.endswith(("top1", "top5", "wer"))]
            assert [other[key] for key in scores] == pytest.approx([row[key] for key in scores], abs=1e-6)
