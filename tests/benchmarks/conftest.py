"""Benchmarks are scripts and not installed: tests find them in their folder, however pytest is called."""

import sys

from tests.conftest import REPOSITORY

sys.path.append(str(REPOSITORY / "benchmarks"))
