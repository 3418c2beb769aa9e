from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.sign_keras.serving.hand_artefact import HandArtefact


@pytest.fixture
def serve() -> Iterator[Callable[..., TestClient]]:
    """``serve(input_name="keypoints", token=None, **settings)``: a client of a server of ``HandArtefact``."""
    from sign_keras.serving.app import create_app
    from sign_keras.serving.engine import Engine
    from sign_keras.serving.settings import ServeSettings

    with ExitStack() as stack:

        def make(input_name: str = "keypoints", token: str | None = None, **settings: Any) -> TestClient:
            # Without cameras no process has to load MediaPipe first.
            settings["live"] = {"cameras": 0, **settings.get("live", {})}
            settings["upload"] = {"readers": 1, "per_minute": 1e6, **settings.get("upload", {})}
            checked = ServeSettings.model_validate(settings)
            app = create_app(Engine(HandArtefact(input_name), checked), checked, token)
            return stack.enter_context(TestClient(app, base_url="http://testserver"))

        yield make
