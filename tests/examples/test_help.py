import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", ["boston104", "mp_words"])
def test_help_has_an_example(name):
    result = subprocess.run(
        [sys.executable, REPOSITORY / "examples" / f"{name}.py", "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=True,
    )
    assert f"--label-map data/{name}/label_map.json" in result.stdout
    assert f"usage: python examples/{name}.py" in result.stdout
