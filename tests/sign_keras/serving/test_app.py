import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from sign_keras.inference.answer_content import answer_content
from sign_keras.inference.predictor import Predictor
from tests.sign_keras.serving.hand_artefact import GLOSSES, HandArtefact


def upload(client: TestClient, path: Path, **arguments):
    return client.post("/predict", files={"file": (path.name, path.read_bytes())}, **arguments)


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where the server puts uploads."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_an_upload_is_answered_as_predict_answers_the_file(serve, make_video, tmp_path, temporary):
    path = make_video(tmp_path / "clip.mp4", num_frames=12)
    (expected,) = Predictor(HandArtefact("frames"), 3).predict([str(path)], workers=1)
    client = serve("frames", top_k=3)
    for _ in range(2):
        response = upload(client, path)
        assert response.status_code == 200
        assert response.json() == answer_content(expected)
    assert [item["gloss"] for item in response.json()["predictions"]][-1] == "aside"  # the square goes elsewhere
    assert not list(temporary.iterdir())
    counted = client.get("/metrics").text
    assert 'sign_keras_requests_total{method="POST",path="/predict",status="200"} 2.0' in counted
    assert sum(f'accepted="{word}"}} 2.0' in counted for word in ("true", "false")) == 1


def test_a_clients_file_name_decides_nothing_but_the_suffix(serve, make_video, tmp_path, temporary):
    content = make_video(tmp_path / "clip.mp4").read_bytes()
    client = serve("frames")
    for name in ("../../x.mp4", "/etc/passwd", "C:\\x.MP4", "a\x00b.mp4", "\u2603" * 300, ".mp4", "a/.."):
        assert client.post("/predict", files={"file": (name, content)}).status_code == 200, name
    assert not list(temporary.iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", "temporary"}


def test_bad_uploads_are_refused_with_a_reason(serve, make_video, tmp_path, temporary):
    video = make_video(tmp_path / "clip.mp4", num_frames=20).read_bytes()
    long = make_video(tmp_path / "long.mp4", num_frames=12, frame_rate=2).read_bytes()
    large = make_video(tmp_path / "large.mp4", width=320, height=240).read_bytes()
    picture = cv2.imencode(".png", np.zeros((300, 300, 3), np.uint8))[1].tobytes()
    client = serve("frames", upload={"megabytes": 0.05, "seconds": 3, "megapixels": 0.05})
    for name, content, status, reason in [
        ("clip.mp4", b"", 422, "is empty (0 bytes)"),
        ("clip.mp4", b"no video", 422, "cannot be opened as a video"),
        ("clip.mp4", video[:700], 422, "cannot be opened as a video"),
        ("clip.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n", 422, "cannot be opened as a video"),
        ("clip.exe", video, 415, "a file ending in '.exe'; expected one of .mp4"),
        ("clip.mp4", long, 422, "at most 3 s are taken"),
        ("clip.mp4", large, 422, "frames of 320x240; at most 50,000 pixels"),
        ("clip.png", picture, 422, "frames of 300x300; at most 50,000 pixels"),
        ("clip.mp4", bytes(60_000), 413, "more than 0.05 MB"),
    ]:
        response = client.post("/predict", files={"file": (name, content)})
        assert (response.status_code, list(response.json())) == (status, ["detail"]), response.text
        assert reason in response.json()["detail"]
        assert str(temporary) not in response.text
    assert not list(temporary.iterdir())


def test_requests_that_are_no_form_with_a_file_are_refused(serve):
    client = serve("frames")
    form = {"content-type": "multipart/form-data; boundary=x"}
    for arguments, status in [
        ({}, 422),
        ({"content": b"{}", "headers": {"content-type": "application/json"}}, 422),
        ({"data": {"file": "text"}}, 422),
        ({"files": {"other": ("a.mp4", b"x")}}, 422),
        ({"content": b"garbage", "headers": form}, 400),
        ({"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data"}}, 400),
    ]:
        response = client.post("/predict", **arguments)
        assert (response.status_code, type(response.json()["detail"])) == (status, str), (arguments, response.text)
    assert client.get("/predict").status_code == 405
    assert client.get("/nothing").status_code == 404


def test_a_body_without_a_length_is_cut_off_at_the_limit(serve):
    client = serve("frames", upload={"megabytes": 0.1})

    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        for _ in range(1000):
            yield bytes(10_000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = client.post("/predict", content=endless(), headers=headers)
    assert response.status_code == 413
    assert response.json() == {"detail": "more than 0.1 MB; send a shorter or smaller video"}


def test_too_many_requests_are_told_when_to_come_again(serve, make_video, tmp_path):
    path = make_video(tmp_path / "clip.mp4")
    client = serve("frames", upload={"per_minute": 2})
    assert [upload(client, path).status_code for _ in range(3)] == [200, 200, 429]
    assert 1 <= int(upload(client, path).headers["retry-after"]) <= 30


def test_uploads_at_once_are_limited(serve, make_video, tmp_path):
    path = make_video(tmp_path / "clip.mp4", num_frames=200)
    client = serve("frames", upload={"readers": 1, "waiting": 1})
    with ThreadPoolExecutor(6) as threads:
        statuses = sorted(threads.map(lambda _: upload(client, path).status_code, range(6)))
    assert statuses.count(200) >= 2
    assert set(statuses) == {200, 429}


def test_the_token_is_asked_for_before_anything_is_read(serve, make_video, tmp_path):
    client = serve("frames", token="s3cret")
    path = make_video(tmp_path / "clip.mp4")
    for address in ("/labels", "/metrics", "/nothing"):
        response = client.get(address)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get(address, headers={"authorization": "Bearer s3creT"}).status_code == 401
    assert upload(client, path).status_code == 401
    known = {"authorization": "Bearer s3cret"}
    assert client.get("/labels", headers=known).json()["glosses"] == list(GLOSSES)
    assert upload(client, path, headers=known).status_code == 200
    for address in ("/", "/static/page.js", "/health", "/docs", "/openapi.json"):
        assert client.get(address).status_code == 200
    assert "HTTPBearer" in client.get("/openapi.json").json()["components"]["securitySchemes"]


def test_pages_of_other_servers_cannot_send(serve, make_video, tmp_path):
    path = make_video(tmp_path / "clip.mp4")
    client = serve("frames", allowed_origins=["https://friend.example"])
    origins = {"http://testserver": 200, "https://friend.example": 200, "https://evil.example": 403, "null": 403}
    for origin, status in origins.items():
        assert upload(client, path, headers={"origin": origin}).status_code == status
    asked = {"origin": "https://friend.example", "access-control-request-method": "POST"}
    assert client.options("/predict", headers=asked).headers["access-control-allow-origin"] == asked["origin"]


def test_labels_and_health_say_what_is_served(serve):
    client = serve()
    assert client.get("/labels").json() == {
        "model": "hands",
        "task": "isolated",
        "glosses": list(GLOSSES),
        "no_sign": None,
        "threshold": 0.4,
    }
    health = client.get("/health").json()
    assert (health["status"], health["model"]) == ("ok", "hands")
    assert health["uptime_seconds"] > 0


def test_no_page_needs_another_host(serve):
    client = serve()
    schema = client.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/predict", "/labels", "/health", "/metrics"}
    for address in ("/", "/docs"):
        page = client.get(address)
        assert "default-src 'self'" in page.headers["content-security-policy"]
        text = page.text + "".join(path.read_text() for path in Path(_static()).glob("*.[jc]s*"))
        assert "https://" not in text
        assert "http://" not in text
    for script in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/static-offline-docs/{script}" in client.get("/docs").text
        assert len(client.get(f"/static-offline-docs/{script}").content) > 100_000


def test_static_files_are_those_of_the_page_alone(serve):
    client = serve()
    assert client.get("/static/page.js").headers["content-type"].startswith("text/javascript")
    for path in ("../app.py", "%2e%2e/app.py", "..%2fapp.py", "%00", "//etc/passwd", "x" * 5000):
        assert client.get(f"/static/{path}").status_code == 404


def _static() -> Path:
    from sign_keras.serving.app import STATIC

    return STATIC
