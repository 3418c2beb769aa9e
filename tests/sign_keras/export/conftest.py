from pathlib import Path

import pytest

from tests.sign_keras.export.tiny_export import TinyExport, make_exports


@pytest.fixture(scope="session")
def exports(tiny_records: Path) -> TinyExport:
    return make_exports(tiny_records)
