"""`protores serve`: the application in uvicorn, until a signal; then what was accepted is finished first."""

import logging
import math
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from protores.errors import StationError
from protores.station.app import App
from protores.station.gate import Gate, is_loopback
from protores.station.limits import RECEIVE_SECONDS, Limits
from protores.station.station import Station

SHORTEST_TOKEN = 16
CONNECTIONS = 512
"""Open at once; beyond these a client is turned away, before the system has no more to give."""
DRAIN_SECONDS = RECEIVE_SECONDS + 15
"""How long a station that stops waits for what it accepted."""
ANSWER_SECONDS = 10
"""And then for its clients to read their answers."""


def serve(
    bundle: Path,
    store: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: Path | None = None,
    limits: Limits | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT; a second one does not wait. started: is told the address.

    Raises StationError where it may not start so, and BundleError.
    """
    token = read_token(token_file, host)
    listening = _bind(host, port)
    try:
        station = Station(bundle, store, limits, runtime, threads)
    except BaseException:
        listening.close()
        raise
    app = App(station, token)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for reader in ("tifffile", "python_multipart"):  # else a client's broken files and forms fill the log
        logging.getLogger(reader).setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=ANSWER_SECONDS,
    )
    address = _address(host, listening)
    try:
        Server(config, app.gate, lambda: started(address) if started else None).run([listening])
    finally:
        station.close()


class Server(uvicorn.Server):
    """Answers 503 after the first signal, until all that was inside is answered."""

    def __init__(self, config: uvicorn.Config, gate: Gate, listening: Callable[[], None]):
        super().__init__(config)
        self.gate, self.listening = gate, listening
        self.deadline = math.inf

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.gate.stopping:
            self.force_exit = self.should_exit = True
        self.gate.stopping, self.deadline = True, time.monotonic() + DRAIN_SECONDS

    async def on_tick(self, counter: int) -> bool:
        if self.gate.stopping and (not self.gate.active or time.monotonic() > self.deadline):
            self.should_exit = True
        return await super().on_tick(counter)


def read_token(file: Path | None, host: str) -> str | None:
    """The token; None where there need not be one. Raises StationError where it is missing or cannot be one."""
    if file is None:
        if not is_loopback(host):
            raise StationError(
                f"{host} can be reached from other machines, and there is no token; write one of {SHORTEST_TOKEN} "
                "characters or more to a file and pass it by --token-file"
            )
        return None
    try:
        token = file.read_text("ascii").strip()
    except OSError as error:
        raise StationError(f"{file}: {error.strerror or error}; check the path and its rights") from error
    except UnicodeDecodeError as error:
        raise StationError(f"{file}: the token holds more than ASCII; take letters and digits") from error
    if len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise StationError(
            f"{file}: the token is shorter than {SHORTEST_TOKEN} characters, or has blanks; write one line of letters "
            "and digits"
        )
    return token


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        raise StationError(f"cannot listen on {host}, port {port} ({error}); take another --host or --port") from error
    return listening


def _address(host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"
