"""What every request passes first: who may ask, and what every answer carries.

Without a token a station listens on this machine alone, and two things could reach it from a browser here: a page of
another site that sends it requests (its Origin tells), and one whose name was made to point here (its Host tells). With
a token neither knows it.
"""

import asyncio
import hmac
import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from protores.station.answers import refused
from protores.station.metrics import Metrics
from protores.station.refusal import Refusal

OPEN = frozenset({"/", "/health", "/docs", "/openapi.json"})
"""Paths that need no token: they tell nothing of images. Nor does what is below /static/."""
LINGER_SECONDS = 5.0
WHILE_STOPPING = frozenset({"/health", "/metrics"})
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


_HOST = re.compile(r":\d*$")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Gate:
    """ASGI middleware. stopping: nothing new is taken. active: requests inside."""

    def __init__(self, app: ASGIApp, token: str | None, metrics: Metrics):
        """token: None: this machine alone may ask."""
        self.app, self.metrics = app, metrics
        self.token = None if token is None else token.encode()
        self.stopping = False
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if message["status"] >= 400:
                    self.metrics.refusals.labels(message["status"]).inc()
                    await body.throw_away()
            await send(message)

        body = _Body(receive)
        refusal = self._refused(scope["path"], Headers(scope=scope))
        if refusal is not None:
            await refused(refusal)(scope, body, send_with_headers)
            return
        self.active += 1
        try:
            await self.app(scope, body, send_with_headers)
        finally:
            self.active -= 1

    def _refused(self, path: str, headers: Headers) -> Refusal | None:
        if self.token is None and (refusal := _foreign(headers)):
            return refusal
        if self.stopping and path not in WHILE_STOPPING:
            return Refusal(503, "the station is stopping; try again when it is back", 5)
        if self.token is None or path in OPEN or path.startswith("/static/"):
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token):
            return None
        return Refusal(401, "a token is needed; send the header `Authorization: Bearer TOKEN`")


class _Body:
    """A request's body on its way through."""

    def __init__(self, receive: Receive):
        self._receive = receive
        self._whole = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._whole = not message.get("more_body", False)
        return message

    async def throw_away(self) -> None:
        """Reads what is left of it for a while: a client that is still sending would not get to read the answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._whole:
                    await self()


def _foreign(headers: Headers) -> Refusal | None:
    host = headers.get("host", "")
    if not is_loopback(_HOST.sub("", host)):
        return Refusal(403, "this station answers its own machine alone; start it with --token-file for others")
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return Refusal(403, "another site's page may not use this station; open the station's own page")
    return None
