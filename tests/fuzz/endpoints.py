"""The station's HTTP, given the requests that schemathesis makes of its own OpenAPI, valid ones and others.

A request is a finding where the answer is a 5xx, a status, type or body that the description does not have, or an error
that is not one line with its cure. The station runs in this process, behind ASGI, with a bundle and a store on disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import mutation
import numpy as np
import schemathesis
import seeds
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from protores.station.app import App
from protores.station.batcher import Upload
from protores.station.limits import Limits
from protores.station.records import Judgement
from protores.station.station import Station

HOST = "127.0.0.1"
LIMITS = Limits(upload_mb=1, megapixels=4)


def one_line_with_the_cure(_: CheckContext, response: Response, case: Case) -> None:
    """An error is what docs/station.md says."""
    if response.status_code >= 400:
        told = response.json()["error"]
        assert "\n" not in told, told
        assert ";" in told, told


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    one_line_with_the_cure,
]


class Endpoints:
    """A station with a few verdicts. strategies: of requests, by method, path and mode (positive: as described)."""

    def __init__(self, station: Station):
        self.station = station
        self.known = tuple(_inspected(station))
        self.schema = schemathesis.openapi.from_asgi("/openapi.json", App(station), headers={"Host": HOST})
        self.schema.config.update(base_url=f"http://{HOST}")
        self.strategies: dict[str, st.SearchStrategy[Case]] = {}
        for operation in self.schema.get_all_operations():
            for mode in GenerationMode:
                if mode.is_positive or _takes_something(operation.ok()):
                    made = operation.ok().as_strategy(generation_mode=mode)
                    self.strategies[f"{operation.ok().label}, {mode.value}"] = self._nearer(made)

    def ask(self, case: Case) -> int:
        """The answer's status. Raises schemathesis' failures, and AssertionError for a place or byte still held."""
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        assert (self.station.queue.taken, self.station.queue.held) == (0, 0), "the request holds a place in the queue"
        return response.status_code

    def _nearer(self, requests: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
        """Half of them about a verdict that is there, and half of the raw bodies nearly an image."""

        def changed(case: Case, known: str | None, chance: mutation.Drawn | None) -> Case:
            if known and "id" in (case.path_parameters or {}):
                case.path_parameters = {"id": known}
            if known and isinstance(case.body, dict) and "id" in case.body:
                case.body = case.body | {"id": known}
            if chance and case.media_type in ("image/*", "application/octet-stream"):
                case.body = mutation.mutated(chance, "image")
            return case

        return st.builds(changed, requests, st.none() | st.sampled_from(self.known), st.none() | mutation.CHANCE)


@contextmanager
def opened(bundle: Path, store: Path) -> Iterator[Endpoints]:
    """The station is closed at the end."""
    station = Station(bundle, store, LIMITS, threads=1)
    try:
        yield Endpoints(station)
    finally:
        station.close()


def _takes_something(operation: APIOperation) -> bool:
    return any((operation.path_parameters, operation.query, operation.headers, operation.body))


def _inspected(station: Station) -> Iterator[str]:
    """Verdicts on the valid images, by their ids; on the first one people painted a defect."""
    for number, content in enumerate(seeds.images()[:3]):
        record = station.batcher.submit(Upload(f"{number}.png", content)).result()
        if number == 0:
            mask = cv2.imencode(".png", np.full(record.size, 255, np.uint8))[1].tobytes()
            station.store.judge(Judgement(id=record.id, label="bad", kind="bent"), mask)
        yield record.id
