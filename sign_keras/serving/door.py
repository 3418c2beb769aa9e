"""Where WebSocket connections come in: who they are, and whether there is room."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from starlette.websockets import WebSocket, WebSocketDisconnect

from sign_keras.serving.access import Access
from sign_keras.serving.live import DONE, POLICY, TRY_AGAIN, LiveSession, RefusedError, Services, receive, refuse
from sign_keras.serving.messages import BadMessageError, Token

TOKEN_SECONDS = 10.0
ASPECT_RATIOS = (0.1, 10.0)


class Door:
    """Lets connections in, and holds each until it ends."""

    def __init__(self, services: Services, access: Access) -> None:
        self._services, self._access = services, access
        self._open: Counter[str] = Counter()

    async def serve(self, socket: WebSocket) -> None:
        """Serves one connection from its handshake to its end."""
        if not self._access.is_welcome(socket.headers):
            await socket.close(POLICY)  # before it was accepted: HTTP 403
            return
        await socket.accept()
        try:
            with self._room(socket.client.host if socket.client else ""):
                await self._identify(socket)
                aspect_ratio = _aspect_ratio(socket.query_params.get("aspect_ratio"))
                await LiveSession(socket, self._services, aspect_ratio).run()
                await socket.close(DONE)
        except RefusedError as refusal:
            await refuse(socket, refusal)
        except WebSocketDisconnect:
            pass

    @contextlib.contextmanager
    def _room(self, address: str) -> Iterator[None]:
        settings = self._services.settings
        if self._open.total() >= settings.connections or self._open[address] >= settings.connections_per_address:
            raise RefusedError(TRY_AGAIN, "as many connections are open as this server takes; try again later")
        self._open[address] += 1
        self._services.metrics.streams.inc()
        try:
            yield
        finally:
            self._services.metrics.streams.dec()
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    async def _identify(self, socket: WebSocket) -> None:
        """Takes the token from the query or, where there is none, from the first message."""
        if not self._access.needs_token:
            return
        token = socket.query_params.get("token")
        if token is None and not self._access.knows_header(socket.headers):
            try:
                message = await receive(socket, TOKEN_SECONDS)
            except (TimeoutError, BadMessageError):
                message = None
            if not isinstance(message, Token):
                raise RefusedError(POLICY, 'expected {"type": "token", "token": ...} as the first message')
            token = message.token
        if token is not None and not self._access.knows(token):
            raise RefusedError(POLICY, "that is not the token")


def _aspect_ratio(value: str | None) -> float | None:
    if value is None:
        return None
    low, high = ASPECT_RATIOS
    try:
        ratio = float(value)
    except ValueError:
        ratio = 0.0
    if not low <= ratio <= high:
        raise RefusedError(POLICY, f"aspect_ratio {value!r:.40}: expected width / height, from {low:g} to {high:g}")
    return ratio
