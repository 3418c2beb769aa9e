"""Listening: uvicorn, with what it needs to know of our limits."""

import socket
import ssl
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from sign_keras.serving.settings import ServeSettings
from tfrecords_tools.command_line import UserError

# Connections beside streams: uploads, pages, whoever measures.
OTHER_CONNECTIONS = 200
# Streams that are open when the server is stopped may end by themselves for so long.
GOODBYE_SECONDS = 3


def run_server(
    app: FastAPI, settings: ServeSettings, host: str, port: int, tls: tuple[Path, Path] | None = None
) -> None:
    """Serves until it is interrupted.

    Args:
        app: what is served.
        settings: of which uvicorn heeds some.
        host: address to listen at.
        port: likewise; 0 takes a free one.
        tls: certificate chain and private key.

    Raises:
        UserError: the address cannot be listened at, or certificate and key do not fit.
    """
    config = _config(app, settings, tls)
    with _listen(host, port) as listener:
        address = f"[{host}]" if ":" in host else host
        url = f"{'https' if tls else 'http'}://{address}:{listener.getsockname()[1]}"
        _Server(config, url).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"serving at {self._url} (documentation: {self._url}/docs); Ctrl-C stops", flush=True)


def _config(app: FastAPI, settings: ServeSettings, tls: tuple[Path, Path] | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        # Every request would be a line, and a stream's may have the token in it.
        access_log=False,
        log_level="warning",
        limit_concurrency=settings.live.connections + OTHER_CONNECTIONS,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
        ws_max_size=round(settings.live.message_kilobytes * 1000),
        ssl_certfile=tls and tls[0],
        ssl_keyfile=tls and str(tls[1]),
        server_header=False,
    )
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        if tls is None:
            raise
        raise UserError(f"{tls[0]}, {tls[1]}: no certificate and key that fit together ({error})") from None
    return config


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{host}:{port}: cannot be listened at ({reason}); choose another --port or --host"
        ) from None
    return listener
