"""The station's HTTP (docs/station.md): what is asked, of whom, and what it is answered by.

The event loop only moves bytes: decoding, SQLite and files are the threads' work.
"""

import asyncio
from typing import Annotated, Any, Literal, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ValidationError

from protores.decision.verdict import Outcome
from protores.station.answers import invalid
from protores.station.feedback import zipped
from protores.station.intake import Intake
from protores.station.names import checked_kind
from protores.station.pictures import browser_png, painted_mask
from protores.station.records import Error, Failure, Health, Inspected, Judgement, ModelInfo, Page, Record
from protores.station.refusal import Refusal
from protores.station.station import Station

router = APIRouter()
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""An image and a map never change."""
_Found = TypeVar("_Found")


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(ref_template="#/components/schemas/{model}")


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Error} for status in statuses}


FILE = {"schema": {"type": "string", "format": "binary"}}
FORM = {"schema": {"type": "object", "properties": {"files": {"type": "array", "items": FILE["schema"]}}}}
UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {"image/*": FILE, "application/octet-stream": FILE, "multipart/form-data": FORM},
    },
    "parameters": [
        {
            "name": "X-Name", "in": "header", "schema": {"type": "string"},
            "description": "The file's name, percent-encoded UTF-8, to be shown; for a raw body.",
        }
    ],
}  # fmt: skip
JUDGEMENT = {"requestBody": {"required": True, "content": {"application/json": {"schema": _schema(Judgement)}}}}
PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": FILE}}}


async def _station(request: Request) -> Station:
    return request.app.state.station


Here = Annotated[Station, Depends(_station)]
Id = Annotated[str, PathParameter(pattern="^[0-9a-f]{16}$", description="Of a verdict.")]


@router.post(
    "/v1/inspect", response_model=Inspected, responses=_errors(400, 401, 408, 413, 415, 422, 429, 500, 503, 507),
    openapi_extra=UPLOAD,
)  # fmt: skip
async def inspect(request: Request, station: Here) -> Response:
    """Inspects an image (a raw body) or several (a form's parts `files`), and answers once the verdicts are durable.

    Of several images one that is refused has an `error` in its place; of a single one that is the answer.
    """
    intake = Intake(station.queue)
    try:
        uploads = await intake.images(request)
        futures = [asyncio.wrap_future(station.batcher.submit(upload)) for upload in uploads]
        found = await asyncio.gather(*futures, return_exceptions=True)
    finally:
        intake.leave()
    verdicts: list[Record | Failure] = []
    for upload, one in zip(uploads, found, strict=True):
        if isinstance(one, Record):
            verdicts.append(one)
        elif not isinstance(one, Refusal) or len(found) == 1:
            raise one
        else:
            verdicts.append(Failure(name=upload.name, error=one.reason))
    return _json(Inspected(verdicts=tuple(verdicts)))


@router.get("/v1/verdicts", response_model=Page, responses=_errors(401, 404, 422))
def verdicts(
    station: Here,
    limit: Annotated[int, Query(ge=1, le=500, description="Verdicts on a page.")] = 50,
    before: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    verdict: Outcome | None = None,
    feedback: Literal["any", "none", "good", "bad"] | None = None,
) -> Response:
    """Verdicts, newest first, by pages."""
    try:
        records, following = station.store.page(limit, before, verdict, feedback)
    except KeyError:
        raise _no_verdict() from None
    return _json(Page(verdicts=tuple(records), next=following, counts=station.store.counts()))


@router.get("/v1/verdicts/{id}", response_model=Record, responses=_errors(401, 404, 422))
def verdict(id: Id, station: Here) -> Response:
    """A verdict, with what people said about it."""
    return _json(_there(station.store.get(id)))


@router.get("/v1/verdicts/{id}/image", response_class=Response, responses=PICTURE | _errors(401, 404, 422))
async def image(
    request: Request,
    id: Id,
    station: Here,
    max: Annotated[int | None, Query(ge=16, le=8192, description="Longer side at most, pixels.")] = None,
) -> Response:
    """The image as a browser can show it: PNG, 8 bit."""

    def render() -> bytes:
        record = _there(station.store.get(id))
        bit_depth = station.model.last.contract.image.bit_depth
        return browser_png(station.store.image(record), bit_depth, max)

    content = await anyio.to_thread.run_sync(render, limiter=request.app.state.rendering)
    return Response(content, media_type="image/png", headers=FOREVER)


@router.get("/v1/verdicts/{id}/map", response_class=Response, responses=PICTURE | _errors(401, 404, 422))
def anomaly_map(id: Id, station: Here) -> Response:
    """The anomaly map, to be stretched over the image: PNG, 8-bit gray, 255 = 1."""
    return Response(_there(station.store.map(id)), media_type="image/png", headers=FOREVER)


@router.get("/v1/verdicts/{id}/mask", response_class=Response, responses=PICTURE | _errors(401, 404, 422))
def mask(id: Id, station: Here) -> Response:
    """The painted mask, of the image's size: PNG, 0 or 255."""
    found = station.store.mask(id)
    if found is None:
        raise Refusal(404, "nobody painted a mask on this image; send one by POST /v1/feedback")
    return Response(found, media_type="image/png")


@router.post(
    "/v1/feedback", response_model=Record, responses=_errors(401, 404, 413, 422, 507), openapi_extra=JUDGEMENT
)
async def judge(request: Request, station: Here) -> Response:
    """Says what an image really is, in place of what was said before; with a mask, where its defect is."""
    intake = Intake(station.queue)

    def keep() -> Record:
        try:
            judgement = Judgement.model_validate_json(body)
        except ValidationError as error:
            raise invalid(error) from error
        kind = checked_kind(judgement.kind)
        if kind is not None and judgement.label == "good":
            raise Refusal(422, "a good image has no kind of defect; send the label bad, or no kind")
        record = _there(station.store.get(judgement.id))
        mask = painted_mask(judgement, record)
        return _there(station.store.judge(judgement.model_copy(update={"kind": kind}), mask))

    try:
        body = await intake.body(request)
        record = await anyio.to_thread.run_sync(keep, limiter=request.app.state.rendering)
    finally:
        intake.leave()
    assert record.feedback is not None
    station.metrics.feedback.labels(record.feedback.label).inc()
    return _json(record)


@router.delete("/v1/feedback/{id}", response_model=Record, responses=_errors(401, 404, 422, 507))
def take_back(id: Id, station: Here) -> Response:
    """Takes back what was said about a verdict."""
    return _json(_there(station.store.take_back(id)))


@router.get(
    "/v1/feedback/export", response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": FILE}}, **_errors(401)},
)  # fmt: skip
def export(station: Here) -> Response:
    """All feedback as a data folder that `protores train --add` takes, in a ZIP file."""
    headers = {"Content-Disposition": 'attachment; filename="feedback.zip"'}
    return StreamingResponse(zipped(station.store), media_type="application/zip", headers=headers)


@router.get("/v1/model", response_model=ModelInfo, responses=_errors(401))
def model(station: Here) -> Response:
    """The bundle that inspects, and what decides now."""
    return _json(station.model.info())


@router.get("/health", response_model=Health, responses={503: {"model": Health}})
async def health(request: Request, station: Here) -> Response:
    """Whether images are taken."""
    stopping = request.app.state.gate.stopping
    told = Health(
        status="stopping" if stopping else "ok",
        model=station.model.last.digest,
        queue=station.queue.taken,
        warning=station.model.warning,
    )
    return _json(told, 503 if stopping else 200)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **_errors(401)})
def metrics(station: Here) -> Response:
    """Figures for Prometheus."""
    return Response(generate_latest(station.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _json(told: BaseModel, status: int = 200) -> Response:
    return Response(told.model_dump_json(), status, media_type="application/json")


def _there(found: _Found | None) -> _Found:
    if found is None:
        raise _no_verdict()
    return found


def _no_verdict() -> Refusal:
    return Refusal(404, "there is no such verdict; GET /v1/verdicts lists them")
