"""What a server counts, in Prometheus' text format. Nobody's address or file name is among it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

# Seconds: from a landmark frame's answer to a long video's.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)


class ServerMetrics:
    """Counters of one server.

    Attributes:
        requests: HTTP requests by ``path`` (``other`` where there is none), ``method`` and ``status``.
        request_seconds: how long they took, by ``path``.
        predictions: videos that were answered, by ``accepted``: whether the answer was a sign that the model knows.
        streams: WebSocket connections that are open.
        frames: frames of streams by ``kind`` (``jpeg``, ``landmarks``) and ``outcome`` (``answered``, ``dropped``).
        frame_seconds: from a frame's arrival to its answer, by ``kind``.
        events: events of streams by ``kind``.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "sign_keras_requests", "HTTP requests", ["path", "method", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "sign_keras_request_seconds", "Seconds of a request", ["path"], buckets=BUCKETS, registry=registry
        )
        self.predictions = Counter(
            "sign_keras_predictions", "Videos that were answered", ["accepted"], registry=registry
        )
        self.streams = Gauge("sign_keras_streams", "WebSocket connections that are open", registry=registry)
        self.frames = Counter("sign_keras_frames", "Frames of streams", ["kind", "outcome"], registry=registry)
        self.frame_seconds = Histogram(
            "sign_keras_frame_seconds",
            "Seconds from a frame's arrival to its answer",
            ["kind"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.events = Counter("sign_keras_events", "Events of streams", ["kind"], registry=registry)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
