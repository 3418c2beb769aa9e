"""The train command on a configuration that is made up for a test."""

import csv
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sign_keras import train
from sign_keras.run import Run


def run_train(directory: Path, records: Path, toy: dict[str, Any], *arguments: str, **changes: Any) -> int:
    """Runs the command in a folder; ``changes`` are of the toy's sections. Returns its status."""
    values = toy | {"records": {"directory": str(records)}}
    for section, change in changes.items():
        values = values | {section: {**values.get(section, {}), **change}}
    path = directory / "toy.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.setattr(sys, "argv", ["train", "--config", str(path), *arguments])
        return train.main()


def history(run: Run) -> list[dict[str, float]]:
    """Its epochs."""
    with (run.directory / "history.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
