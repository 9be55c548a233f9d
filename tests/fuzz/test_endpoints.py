"""A few hundred requests in every run of the suite; benchmarks/fuzz.py sends 100,000."""

from collections import Counter

import endpoints
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from limits import in_time
from schemathesis.core.failures import FailureGroup

FEW = settings(
    max_examples=15, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def station(make_bundle, tmp_path):
    bundle = make_bundle(map_threshold=0.6, good_below=0.3, bad_above=0.6)
    with endpoints.opened(bundle, tmp_path / "store") as opened:
        yield opened


def ask(station: endpoints.Endpoints, name: str) -> Counter[int]:
    """What a few requests of a kind are answered by."""
    statuses: Counter[int] = Counter()

    @FEW
    @seed(1)
    @given(station.strategies[name])
    def run(case):
        with in_time():
            statuses[station.ask(case)] += 1

    run()
    return statuses


def test_every_endpoint_answers_as_it_is_described(station):
    answered = {name: ask(station, name) for name in station.strategies}
    assert {name.partition(", ")[0] for name in answered} == {
        f"{method.upper()} {path}" for path, methods in station.schema.raw_schema["paths"].items() for method in methods
    }
    for name, statuses in answered.items():
        mode = name.partition(", ")[2]
        assert mode == "positive" or 422 in statuses or 400 in statuses, "what is wrong is refused"
    for name in ("/v1/verdicts", "/v1/verdicts/{id}", "/v1/verdicts/{id}/image", "/v1/verdicts/{id}/mask"):
        assert 200 in answered[f"GET {name}, positive"], "and what is right is not"
    assert 200 in answered["POST /v1/inspect, positive"]
    assert 200 in answered["POST /v1/feedback, positive"]


def test_a_crash_and_an_answer_that_is_not_described_are_findings(station, monkeypatch):
    monkeypatch.setattr(station.station.store, "map", lambda id: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ask(station, "GET /v1/verdicts/{id}/map, positive")
    monkeypatch.setattr(station.station.model, "info", lambda: station.station.store.get(station.known[0]))
    with pytest.raises(FailureGroup, match="schema"):
        ask(station, "GET /v1/model, positive")
