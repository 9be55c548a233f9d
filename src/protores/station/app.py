"""The station's ASGI application: routes, page, and the gate before them."""

from pathlib import Path

from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

import protores
from protores.station.answers import HANDLERS
from protores.station.described import described
from protores.station.gate import Gate
from protores.station.routes import router
from protores.station.station import Station

PAGE = Path(__file__).parent / "page"
ABOUT = """Inspects images, keeps what it said about them, and takes corrections.

Every error is `{"error": "one line that ends with the cure"}`."""


class App(FastAPI):
    """gate: what every request passes first. The station is the caller's to close."""

    def __init__(self, station: Station, token: str | None = None):
        """token: what clients have to send; None: only those of this machine are answered."""
        super().__init__(
            title="protores station", version=protores.__version__, description=ABOUT, docs_url=None, redoc_url=None,
            exception_handlers=HANDLERS,
        )  # fmt: skip
        self.gate = Gate(self._inside, token, station.metrics)
        self.state.station, self.state.gate = station, self.gate
        self.state.rendering = CapacityLimiter(1)
        self.include_router(router)
        self.get("/", include_in_schema=False)(_page)
        self.get("/docs", include_in_schema=False)(_docs)
        self.mount("/static", StaticFiles(directory=PAGE))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.gate(scope, receive, send)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)


async def _page() -> Response:
    return FileResponse(PAGE / "index.html")


def _docs(request: Request) -> Response:
    return HTMLResponse(described(request.app.openapi()))
