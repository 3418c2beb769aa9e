import json
import struct
from contextlib import contextmanager
from dataclasses import asdict

import cv2
import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from sign_keras.inference.stream import SignStream
from tests.sign_keras.serving.hand_artefact import HandArtefact, signing


def packed(seconds: float, landmarks: np.ndarray) -> bytes:
    return struct.pack("<4sd", b"SKL1", seconds) + landmarks.astype("<f4").tobytes()


def events_of(frames, **settings):
    from sign_keras.inference.stream_settings import StreamSettings

    stream = SignStream(HandArtefact(), StreamSettings(**settings))
    found = [event for seconds, landmarks in frames for event in stream.push(seconds, landmarks)]
    return [asdict(event) for event in found + stream.finish()]


def events_in(messages: list[dict]) -> list[dict]:
    events = [message for message in messages if message["type"] == "event"]
    return [{key: value for key, value in event.items() if key != "type"} for event in events]


def until_closed(socket) -> tuple[list[dict], int]:
    """All messages to the end, and the code that the server closed with."""
    messages = []
    try:
        while True:
            messages.append(socket.receive_json())
    except WebSocketDisconnect as closed:
        socket.is_drained = True
        return messages, closed.code


@contextmanager
def connected(client, query: str = "", first: dict | None = None, **arguments):
    with client.websocket_connect(f"/stream{query}", **arguments) as socket:
        if first is not None:
            socket.send_json(first)
        ready = socket.receive_json()
        assert ready["type"] == "ready", ready
        yield socket
        if not hasattr(socket, "is_drained"):  # the client would cancel the server's side where it has not ended
            socket.send_json({"type": "finish"})
            until_closed(socket)


def refusal(client, query: str = "", first: str | None = None, **arguments) -> tuple[str, int]:
    """Reason and code with which a connection is refused."""
    with client.websocket_connect(f"/stream{query}", **arguments) as socket:
        if first is not None:
            socket.send_text(first)
        messages, code = until_closed(socket)
    assert messages[-1]["type"] == "error"
    return messages[-1]["reason"], code


def test_landmarks_give_the_events_of_the_engine(serve):
    frames = list(signing("up", "down", "aside"))
    with connected(serve()) as socket:
        for seconds, landmarks in frames:
            socket.send_bytes(packed(seconds, landmarks))
        socket.send_json({"type": "finish"})
        messages, code = until_closed(socket)
    assert code == 1000
    events = events_in(messages)
    assert events == events_of(frames)
    assert [event["gloss"] for event in events if event["kind"] == "sign"] == ["up", "down", "aside"]
    results = [item for item in messages if item["type"] == "result"]
    assert [result["frame"] for result in results] == list(range(len(frames)))
    assert {result["dropped"] for result in results} == {0}
    assert [result["active"] for result in results].count(True) > 10
    assert results[-1]["scores"][0]["gloss"] == "aside"
    assert messages[-1] == {
        "type": "finished",
        "frames": len(frames),
        "answered": len(frames),
        "dropped": 0,
        "events": len(events),
    }


def test_json_landmarks_and_an_aspect_ratio_are_heeded(serve):
    frames = list(signing("up"))
    with connected(serve(), "?aspect_ratio=4") as socket:
        for seconds, landmarks in frames:
            points = [None if np.isnan(point).any() else point.tolist() for point in landmarks]
            socket.send_json({"type": "landmarks", "seconds": seconds, "landmarks": points})
        socket.send_json({"type": "finish"})
        messages, _ = until_closed(socket)
    events = events_in(messages)
    assert events == events_of(frames, aspect_ratio=4)
    assert events != events_of(frames)


def test_two_streams_do_not_disturb_each_other(serve):
    client = serve()
    with connected(client) as first, connected(client) as second:
        for one, other in zip(signing("up", seed=1), signing("down", seed=2), strict=True):
            first.send_bytes(packed(*one))
            second.send_bytes(packed(*other))
        said = []
        for socket in (first, second):
            socket.send_json({"type": "finish"})
            messages, _ = until_closed(socket)
            said.append([item["gloss"] for item in messages if item.get("kind") == "sign"])
    assert said == [["up"], ["down"]]
    assert "sign_keras_streams 0.0" in client.get("/metrics").text


def test_what_is_beyond_the_rate_is_dropped_and_counted(serve):
    client = serve(live={"frames_per_second": 0.5})
    with connected(client) as socket:
        for seconds, landmarks in list(signing("up"))[:10]:
            socket.send_bytes(packed(seconds, landmarks))
        socket.send_json({"type": "finish"})
        messages, _ = until_closed(socket)
    assert messages[-1]["dropped"] == 9
    assert messages[-1]["answered"] == 1
    assert 'sign_keras_frames_total{kind="landmarks",outcome="dropped"} 9.0' in client.get("/metrics").text


def test_messages_that_are_none_end_the_connection_with_a_reason(serve):
    client = serve()
    for message, reason in [
        (b"garbage", "expected a JPEG, SKJ1 or SKL1"),
        ("garbage", "no JSON"),
        ('{"type": "landmarks", "seconds": 0, "landmarks": [1]}', "expected a list of 543"),
        (packed(0, np.full((543, 3), 500)), "expected frame widths"),
    ]:
        with connected(client) as socket:
            (socket.send_bytes if isinstance(message, bytes) else socket.send_text)(message)
            messages, code = until_closed(socket)
        assert code == 1003
        assert reason in messages[-1]["reason"]


def test_a_stream_that_says_nothing_or_goes_on_for_ever_is_closed(serve):
    with connected(serve(live={"idle_seconds": 0.1})) as socket:
        messages, code = until_closed(socket)
    assert (code, messages[-1]["reason"]) == (1008, "nothing came for 0.1 s; connect again")
    with connected(serve(live={"minutes": 0.005})) as socket:
        messages, code = until_closed(socket)
    assert code == 1008
    assert "open for 0.005 minutes" in messages[-1]["reason"]


def test_connections_are_limited_and_make_room_again(serve):
    client = serve(live={"connections": 2})
    with connected(client), connected(client):
        reason, code = refusal(client)
        assert (code, "as many connections" in reason) == (1013, True)
    with connected(client):
        pass
    client = serve(live={"connections_per_address": 1})
    with connected(client):
        assert refusal(client)[1] == 1013


def test_the_token_comes_in_the_query_a_header_or_the_first_message(serve):
    client = serve(token="s3cret")
    with connected(client, "?token=s3cret"):
        pass
    with connected(client, headers={"authorization": "Bearer s3cret"}):
        pass
    with connected(client, first={"type": "token", "token": "s3cret"}):
        pass
    assert refusal(client, "?token=s3creT") == ("that is not the token", 1008)
    assert refusal(client, first='{"type": "token", "token": ""}') == ("that is not the token", 1008)
    for first in ('{"type": "finish"}', "garbage"):
        reason, code = refusal(client, first=first)
        assert (code, "as the first message" in reason) == (1008, True)


def test_pages_of_other_servers_cannot_connect(serve):
    client = serve()
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/stream", headers={"origin": "https://evil.example"}),
    ):
        pass
    with connected(client, headers={"origin": "http://testserver"}):
        pass


@pytest.mark.parametrize("ratio", ["0", "nan", "-1", "1e9", "wide"])
def test_an_aspect_ratio_is_one(serve, ratio):
    reason, code = refusal(serve(), f"?aspect_ratio={ratio}")
    assert (code, "expected width / height" in reason) == (1008, True)


def test_a_model_of_frames_asks_for_pictures(serve):
    with connected(serve("frames")) as socket:
        socket.send_bytes(packed(*next(signing("up"))))
        messages, code = until_closed(socket)
    assert (code, messages[-1]["reason"]) == (
        1003,
        "this model looks at frames, not at landmarks alone; send JPEG pictures",
    )


def test_without_cameras_pictures_are_refused(serve):
    with connected(serve()) as socket:
        socket.send_bytes(b"\xff\xd8")
        messages, code = until_closed(socket)
    assert (code, messages[-1]["reason"]) == (1013, "0 cameras are streaming, which is the limit; try again later")


def test_pictures_are_seen_bad_ones_are_skipped_and_old_ones_dropped(serve):
    good = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    large = cv2.imencode(".jpg", np.zeros((200, 200, 3), np.uint8))[1].tobytes()
    client = serve(live={"cameras": 1, "megapixels": 0.03, "waiting_pictures": 4})
    with connected(client) as socket:
        for content in (good, good[:-200], large, struct.pack("<4sd", b"SKJ1", 2.5) + good):
            socket.send_bytes(content)
            message = socket.receive_json()
            if message["type"] == "skipped":
                assert message["reason"].startswith("the picture ")
                continue
            assert message["landmarks"].keys() == {"pose", "face", "left_hand", "right_hand"}
        assert message["seconds"] == 2.5
        for _ in range(30):
            socket.send_bytes(good)
        socket.send_json({"type": "finish"})
        messages, code = until_closed(socket)
    assert code == 1000
    finished = messages[-1]
    assert finished["frames"] == 34
    assert finished["dropped"] + finished["answered"] == 32
    assert json.dumps(messages)
    assert messages[-2]["frame"] == 33  # the newest was kept
