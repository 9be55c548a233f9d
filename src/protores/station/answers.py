"""Every error as JSON: one line that ends with the cure."""

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from protores.errors import StationError
from protores.station.refusal import Refusal

logger = logging.getLogger(__name__)
NO_PATHS = {404: "there is no such path; see /docs", 405: "this path takes another method; see /docs"}


def refused(refusal: Refusal) -> JSONResponse:
    """The answer that a refusal is."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": refusal.reason}, refusal.status, headers)


def failure(error: Exception) -> Refusal:
    """What went wrong on this side: in full in the log, for the client in a line that names no path."""
    logger.error("a request failed", exc_info=error)
    return _told(error)


def _told(error: Exception) -> Refusal:
    if isinstance(error, StationError):
        return Refusal(500, str(error))
    if isinstance(error, (OSError, sqlite3.Error)):
        return Refusal(507, "the store cannot be used; look at the station's log, its disk may be full")
    return Refusal(500, f"the station failed ({type(error).__name__}); look at its log, and run `protores verify`")


def invalid(error: RequestValidationError | ValidationError) -> Refusal:
    """The first thing that is wrong with what a client sent."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("query", "path", "body"))
    return Refusal(422, f"{where or 'the body'}: {first['msg']}; see /docs")


async def _on_refusal(_: Request, error: Any) -> Response:
    return refused(error)


async def _on_invalid(_: Request, error: Any) -> Response:
    return refused(invalid(error))


async def _on_no_path(_: Request, error: Any) -> Response:
    return refused(Refusal(error.status_code, NO_PATHS.get(error.status_code, f"{error.detail}; see /docs")))


async def _on_gone(_: Request, error: Any) -> Response:
    return Response(status_code=400)  # nobody is there to read it


async def _on_failure(_: Request, error: Any) -> Response:
    return refused(failure(error))


async def _on_bug(_: Request, error: Any) -> Response:
    return refused(_told(error))  # the server logs it


HANDLERS: dict[int | type[Exception], Callable[..., Any]] = {
    Refusal: _on_refusal,
    RequestValidationError: _on_invalid,
    HTTPException: _on_no_path,
    ClientDisconnect: _on_gone,
    StationError: _on_failure,
    OSError: _on_failure,
    sqlite3.Error: _on_failure,
    Exception: _on_bug,
}
