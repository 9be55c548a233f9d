"""Uploads as they arrive, counted byte by byte: what is too large is refused before the rest of it is read."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from protores.station.batcher import Upload
from protores.station.limits import RECEIVE_SECONDS, Limits
from protores.station.names import shown
from protores.station.queue import Queue
from protores.station.refusal import Refusal

FIELD = b"files"


class Intake:
    """One request's body: its bytes are counted, and each image takes its place in the queue before its first byte."""

    def __init__(self, queue: Queue):
        self.queue = queue
        self.places = self.held = 0

    async def images(self, request: Request) -> list[Upload]:
        """The images of a raw body, or of a form's parts. Raises Refusal, and ClientDisconnect."""
        boundary = _boundary(request)
        if boundary is None:
            self._place()
            return [Upload(shown(unquote(request.headers.get("x-name", ""))), await self.body(request))]
        form = _Form(boundary, self._place)
        await self._receive(request, form.write)
        return form.end()

    async def body(self, request: Request) -> bytes:
        """A body as it is. Raises Refusal, and ClientDisconnect."""
        chunks: list[bytes] = []
        await self._receive(request, chunks.append)
        return b"".join(chunks)

    def leave(self) -> None:
        """What was taken is free again."""
        self.queue.leave(self.places, self.held)
        self.places = self.held = 0

    def _place(self) -> None:
        if self.places >= self.queue.limits.queue:
            raise Refusal(413, f"more than {self.places} images in one request; send them in several")
        self.queue.enter()
        self.places += 1

    async def _receive(self, request: Request, write: Callable[[bytes], Any]) -> None:
        limits = self.queue.limits
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limits.upload:
            raise _too_large(limits)
        try:
            async with asyncio.timeout(RECEIVE_SECONDS):
                async for chunk in request.stream():
                    if self.held + len(chunk) > limits.upload:
                        raise _too_large(limits)
                    self.queue.hold(len(chunk))
                    self.held += len(chunk)
                    if chunk:
                        write(chunk)
        except TimeoutError:
            raise Refusal(408, f"the upload took longer than {RECEIVE_SECONDS:g} s; send smaller images") from None


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"the upload is larger than {limits.upload_mb:g} MB; send fewer or smaller images at once, or start the "
        "station with a larger --max-upload-mb",
    )


def _boundary(request: Request) -> bytes | None:
    """Of a form; None for a raw body. Raises Refusal for a form without one, or another type."""
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        if not options.get(b"boundary"):
            raise Refusal(400, "multipart/form-data without a boundary; let your HTTP library write the Content-Type")
        return options[b"boundary"]
    if kind.startswith(b"image/") or kind in (b"", b"application/octet-stream"):
        return None
    raise Refusal(
        415, "no image's type; send the bytes of one as image/*, or a form (multipart/form-data) with parts `files`"
    )


class _Form:
    """A multipart body's parts `files`, put together from pieces."""

    def __init__(self, boundary: bytes, begin: Callable[[], None]):
        self._begin = begin
        self._parts: list[tuple[str, list[bytes]]] = []
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._whole = False
        try:
            self._parser = MultipartParser(boundary, {
                "on_part_begin": self._headers.clear,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_end": self._on_end,
            })  # fmt: skip
        except FormParserError as error:
            raise _damaged(error) from error

    def write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _damaged(error) from error

    def end(self) -> list[Upload]:
        """Raises Refusal where the form is not whole, or has no image."""
        if not self._whole:
            raise Refusal(400, "the form ends before its last boundary; send it again")
        if not self._parts:
            raise Refusal(400, "the form has no image; send some as parts `files`")
        return [Upload(name, b"".join(chunks)) for name, chunks in self._parts]

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if options.get(b"name") != FIELD:
            raise Refusal(400, "the form has a part that is not called `files`; send nothing but images")
        self._begin()
        self._parts.append((shown(options.get(b"filename", b"").decode("utf-8", "replace")), []))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._parts[-1][1].append(data[start:end])

    def _on_end(self) -> None:
        self._whole = True


def _damaged(error: Exception) -> Refusal:
    return Refusal(400, f"the form cannot be read ({type(error).__name__}); send it again, by an HTTP library")
