"""Errors of this side: a line for the client that names nothing of it."""

import sqlite3

import pytest

from protores.errors import StationError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("/opt/secret broke"), 500),
        (sqlite3.OperationalError("/opt/secret is full"), 507),
        (OSError(28, "No space left", "/opt/secret"), 507),
        (StationError("the image of verdict 1 cannot be read; restore it"), 500),
    ],
)
def test_failures_are_a_line_and_go_on(make_station, make_client, png, monkeypatch, error, status):
    station = make_station()
    client = make_client(station)

    def broken(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(station.store, "get", broken)
        answer = client.get(f"/v1/verdicts/{'0' * 16}")
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}
    assert "secret" not in answer.text
    assert client.post("/v1/inspect", content=png).status_code == 200


def test_what_is_not_there_is_said_in_json(client):
    asked = (
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/inspect", 405),
        ("GET", "/v1/verdicts/x", 422),
        ("GET", "/v1/verdicts?limit=0", 422),
        ("GET", "/v1/verdicts?verdict=x", 422),
    )
    for method, path, status in asked:
        answer = client.request(method, path)
        assert answer.status_code == status
        assert answer.json().keys() == {"error"}
        assert "\n" not in answer.json()["error"]
