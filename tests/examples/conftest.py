"""Examples are scripts and not installed: tests find them from the repository's root, however pytest is called."""

import sys

from tests.conftest import REPOSITORY

sys.path.append(str(REPOSITORY))
