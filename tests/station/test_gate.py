"""Who is answered, and what every answer carries."""

import re

import pytest

from protores.station.gate import OPEN, SECURITY_HEADERS, is_loopback

TOKEN = "correct-horse-battery-staple"
PATHS = ("/v1/verdicts", "/v1/model", "/v1/feedback/export", "/metrics", "/v1/verdicts/" + "0" * 16, "/v1/", "/nowhere")


def test_without_the_token_nothing_of_images_is_told(make_client):
    client = make_client(token=TOKEN)
    for path in PATHS:
        for wrong in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}, {"Authorization": "Bearer"},
                      {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer \xe4"}):  # fmt: skip
            answer = client.get(path, headers={key: value.encode("latin-1") for key, value in wrong.items()})
            assert answer.status_code == 401, (path, wrong)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.post("/v1/inspect", content=b"x").status_code == 401
    for path in (*OPEN, "/static/page.js"):
        assert client.get(path).status_code == 200
    assert client.get("/static/../v1/model").status_code in (401, 404)
    assert client.get("/v1/verdicts", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("127.0.0.1:8000", 200), ("localhost:1", 200), ("[::1]:8000", 200), ("rebound.example", 403),
     ("127.0.0.1.example:80", 403), ("localhost.example", 403), ("[::1", 403), ("192.168.0.7:8000", 403), ("", 403)],
)  # fmt: skip
def test_without_a_token_only_this_machines_names_are_answered(make_client, host, status):
    client = make_client()
    for path in ("/", "/v1/model", "/health"):
        assert client.get(path, headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:8000", 200), ("http://127.0.0.1:9000", 403), ("http://evil.example", 403), ("null", 403)],
)
def test_another_sites_page_is_not_answered(make_client, png, origin, status):
    headers = {"Host": "127.0.0.1:8000", "Origin": origin}
    assert make_client().post("/v1/inspect", content=png, headers=headers).status_code == status


def test_with_a_token_any_name_will_do(make_client):
    name = "inspect.plant.example"
    headers = {"Host": name, "Origin": f"https://{name}", "Authorization": f"Bearer {TOKEN}"}
    assert make_client(token=TOKEN).get("/v1/model", headers=headers).status_code == 200


def test_every_answer_is_closed_to_other_sites(client):
    for path in ("/", "/docs", "/v1/verdicts", "/nowhere", "/static/page.js", "/health"):
        headers = client.get(path).headers
        assert {name: headers[name] for name in SECURITY_HEADERS} == dict(SECURITY_HEADERS)
        assert not [name for name in headers if name.lower().startswith("access-control")]
    assert "unsafe" not in SECURITY_HEADERS["Content-Security-Policy"]


def test_docs_need_nothing_from_elsewhere_and_have_every_path(client):
    page, described = client.get("/docs").text, client.get("/openapi.json").json()
    assert not re.search(r"<script|https?://", page)
    for path, methods in described["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page
    assert {"/v1/inspect", "/v1/feedback", "/v1/verdicts/{id}/map", "/health", "/metrics"} <= described["paths"].keys()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_this_machine_alone(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "station.example", "127.0.0.1.example"])
def test_reached_from_others(host):
    assert not is_loopback(host)
