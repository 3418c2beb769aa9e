"""``python -m sign_keras.serve``: a model behind HTTP and WebSocket, and a web page to try it."""

import argparse
import importlib.util
import ipaddress
import os
import sys
from pathlib import Path

from sign_keras.inference.info import kind_of
from sign_keras.quiet import quiet_tensorflow
from sign_keras.serving.settings import load_settings
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.settings import add_overrides

TOKEN_VARIABLE = "SIGN_KERAS_TOKEN"
NEEDED = ("fastapi", "fastapi_offline", "uvicorn", "websockets", "multipart", "prometheus_client")
EXAMPLE = f"""example:
  python -m sign_keras.serve --model tflite/cnn_lstm.tflite
  curl -F file=@clip.mp4 http://127.0.0.1:8000/predict

for a phone in the same network, whose browser gives the camera to HTTPS pages only:
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=sign_keras -keyout key.pem -out cert.pem \\
      -addext "subjectAltName=IP:$(hostname -I | cut -d' ' -f1)"
  {TOKEN_VARIABLE}=$(openssl rand -hex 16) python -m sign_keras.serve --model tflite/cnn_lstm.tflite \\
      --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem

Limits are settings: --set upload.megabytes=20, or a YAML file by --settings; docs/serving.md lists them all. Videos
are read, answered and removed; nothing that clients send is kept.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.serve",
        description="Serves a run, a SavedModel or a .tflite file: a web page at /, videos at POST /predict, "
        "streams at the WebSocket /stream, their documentation at /docs.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", required=True, type=Path, metavar="PATH", help="run directory, SavedModel directory or .tflite"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="default 8000; 0 takes a free one")
    parser.add_argument(
        "--token",
        metavar="T",
        help=f"that clients must know; better in the variable {TOKEN_VARIABLE}, which process lists do not show",
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key, PEM")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="YAML with limits and other settings")
    add_overrides(parser, "change a setting, e.g. upload.seconds=20 or live.cameras=8; may be repeated")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    if not 0 <= arguments.port <= 65535:
        raise UserError(f"--port {arguments.port}: expected a number from 0 to 65535")
    token = find_token(arguments.token)
    check_tls(arguments.tls_cert, arguments.tls_key)
    check_extra()
    settings = load_settings(arguments.settings, arguments.overrides)
    kind_of(arguments.model)  # a misspelt path is told before TensorFlow is loaded
    if token is None and not is_loopback(arguments.host):
        print(
            f"warning: everybody who reaches {arguments.host} can use this server; set {TOKEN_VARIABLE} to let in "
            "only those who know it",
            file=sys.stderr,
        )
    quiet_tensorflow(run_half_op=True)

    from sign_keras.inference.loading import load_artefact
    from sign_keras.serving.app import create_app
    from sign_keras.serving.engine import Engine
    from sign_keras.serving.server import run_server

    engine = Engine(load_artefact(arguments.model), settings)
    run_server(
        create_app(engine, settings, token),
        settings,
        arguments.host,
        arguments.port,
        tls=None if arguments.tls_cert is None else (arguments.tls_cert, arguments.tls_key),
    )
    return SUCCESS


def find_token(argument: str | None) -> str | None:
    """The token of the command line or of the environment; None where there is none.

    Raises:
        UserError: it is empty, or no header could carry it.
    """
    token = os.environ.get(TOKEN_VARIABLE) if argument is None else argument
    name = TOKEN_VARIABLE if argument is None else "--token"
    if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token and token):
        raise UserError(f"{name}: expected letters, digits and signs of ASCII, such as $(openssl rand -hex 16)")
    return token


def check_tls(cert: Path | None, key: Path | None) -> None:
    """Raises ``UserError`` where one of the files is missing."""
    if (cert is None) != (key is None):
        raise UserError("--tls-cert and --tls-key go together; --help has the command that makes both")
    for path in (cert, key):
        if path is not None and not path.is_file():
            raise UserError(f"{path}: no such file; --help has the command that makes certificate and key")


def check_extra() -> None:
    """Raises ``UserError`` where packages are missing that only servers need."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{', '.join(missing)}: not installed; pip install 'sign_keras[serve]' brings what serving needs"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    run_command(main)
