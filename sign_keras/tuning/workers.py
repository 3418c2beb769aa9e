"""One search by several processes, as KerasTuner does it: a chief draws, workers train.

Every process runs the same command on the same folder, each with ``KERASTUNER_ORACLE_IP`` and
``KERASTUNER_ORACLE_PORT``, the chief's address, and with ``KERASTUNER_TUNER_ID``: ``chief``, or a name of its own.
"""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from enum import Enum

from tfrecords_tools.command_line import UserError

ADDRESS, PORT, NAME = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"


class Role(Enum):
    """What this process does of a search."""

    ALONE = "alone"
    CHIEF = "chief"
    WORKER = "worker"


def role_of(environment: Mapping[str, str] = os.environ) -> Role:
    """The role that the environment gives.

    Raises:
        UserError: a variable is missing, or the chief's port is no port or is taken.
    """
    if ADDRESS not in environment:
        return Role.ALONE
    for name in (PORT, NAME):
        if not environment.get(name):
            raise UserError(f"{name}: not set, but {ADDRESS} is; set all of {ADDRESS}, {PORT} and {NAME}, or none")
    port = environment[PORT]
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"{PORT}={port}: expected a port, 1 to 65535")
    # As KerasTuner has it.
    if "chief" not in environment[NAME]:
        return Role.WORKER
    _check_port(environment[ADDRESS], int(port))
    return Role.CHIEF


@contextlib.contextmanager
def chief_answers() -> Iterator[None]:
    """For what a worker asks the chief.

    Raises:
        UserError: there is no answer, for an hour.
    """
    import grpc

    try:
        yield
    except grpc.RpcError as error:
        raise UserError(
            f"{ADDRESS}={os.environ[ADDRESS]} {PORT}={os.environ[PORT]}: the chief does not answer "
            f"({error.code().name}); start it again with the same command, then this worker"
        ) from None


def _check_port(address: str, port: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError as error:
            raise UserError(
                f"{ADDRESS}={address} {PORT}={port}: cannot be listened on ({error.strerror}); choose another"
            ) from None
