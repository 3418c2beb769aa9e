"""The same training in two processes, which differ in the order of Python's hashes, ends with the same bits."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture
def digests(tmp_path, tiny_records, tiny_keypoint_records, tiny_sentence_records, tiny_video_sentence_records):
    """``digests(hash_seed)``: by architecture, of all weights and of the optimiser's state."""
    records = {
        "videos": str(tiny_records),
        "keypoints": str(tiny_keypoint_records),
        "sentences": str(tiny_sentence_records),
        "video_sentences": str(tiny_video_sentence_records),
    }

    def run(hash_seed):
        module = "tests.sign_keras.training.weights_of_all"
        command = [sys.executable, "-m", module, json.dumps(records), str(tmp_path / str(hash_seed))]
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        lines = (line.split() for line in done.stdout.splitlines() if line.startswith("digest "))
        return {name: digest for _, name, digest in lines}

    return run


@pytest.mark.slow
def test_every_architecture_ends_with_the_same_weights_in_another_process(digests):
    first = digests(1)
    assert len(first) >= 10
    assert len(set(first.values())) == len(first)
    assert digests(2) == first
