"""What every HTTP request passes before anything looks into it: token, rate, size, time; and what is counted."""

import asyncio
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sign_keras.serving.access import Access
from sign_keras.serving.metrics import ServerMetrics
from sign_keras.serving.rates import TokenBuckets
from sign_keras.serving.settings import UploadSettings

# Without the token: the page, its files and the documentation, which hold nothing of anybody's.
OPEN_PATHS = ("/", "/health", "/docs", "/redoc", "/openapi.json", "/favicon.ico")
OPEN_FOLDERS = ("/static/", "/static-offline-docs/")
API_PATHS = ("/predict", "/labels", "/health", "/metrics")
METHODS = ("GET", "HEAD", "POST", "OPTIONS")
BURST = 10.0

# A page may load from this server alone, and be framed by none.
PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' ws: wss:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
# Swagger's page starts itself by a script in the page.
DOCS_POLICY = (
    PAGE_POLICY + "; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; worker-src blob:"
)
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, access: Access, settings: UploadSettings, metrics: ServerMetrics) -> None:
        self._app, self._access, self._settings, self._metrics = app, access, settings, metrics
        self._buckets = TokenBuckets(settings.per_minute / 60, max(1.0, min(BURST, settings.per_minute)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def send_out(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, scope["path"])
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send_out)
            else:
                await self._app(scope, self._limited(receive), send_out)
        finally:
            path = scope["path"] if scope["path"] in API_PATHS else "other"
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(path, method, str(status)).inc()
            self._metrics.request_seconds.labels(path).observe(time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        path, headers = scope["path"], Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD") and not self._access.is_welcome(headers):
            return _problem(403, "this server is not for pages of other servers; see allowed_origins")
        is_open = path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)
        if not is_open and not self._access.knows_header(headers):
            detail = "this server asks for a token: Authorization: Bearer TOKEN"
            return _problem(401, detail, {"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            return _problem(400, "Content-Length: expected a number of bytes")
        if int(length) > self._most_bytes:
            return _too_large(self._settings.megabytes)
        if path == "/predict" and scope["method"] == "POST":
            bucket = self._buckets.of(scope["client"][0] if scope.get("client") else "")
            if not bucket.take():
                detail = f"more than {self._settings.per_minute:g} videos a minute; wait a little"
                return _problem(429, detail, {"Retry-After": str(bucket.wait_seconds)})
        return None

    @property
    def _most_bytes(self) -> int:
        return round(self._settings.megabytes * 1e6)

    def _limited(self, receive: Receive) -> Receive:
        """The same messages, until there are too many bytes of them or they take too long."""
        deadline = time.monotonic() + self._settings.arriving_seconds
        num_bytes, is_whole = 0, False

        async def receive_limited() -> Message:
            nonlocal num_bytes, is_whole
            if is_whole:  # what may come now is that the client goes
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(deadline - time.monotonic(), 0.001))
            except TimeoutError:
                seconds = self._settings.arriving_seconds
                raise HTTPException(408, f"the request takes longer than {seconds:g} s to arrive") from None
            num_bytes += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if num_bytes > self._most_bytes:
                detail, headers = _too_large_text(self._settings.megabytes), {"Connection": "close"}
                raise HTTPException(413, detail, headers)
            return message

        return receive_limited


def _too_large_text(megabytes: float) -> str:
    return f"more than {megabytes:g} MB; send a shorter or smaller video"


def _too_large(megabytes: float) -> JSONResponse:
    return _problem(413, _too_large_text(megabytes), {"Connection": "close"})


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


def _add_headers(message: Message, path: str) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    is_docs = path in ("/docs", "/redoc")
    headers.setdefault("content-security-policy", DOCS_POLICY if is_docs else PAGE_POLICY)
    # Browsers keep what a server of another version had, or another user's answers, unless they are told not to.
    headers.setdefault("cache-control", "no-cache" if path.startswith(OPEN_FOLDERS) else "no-store")
