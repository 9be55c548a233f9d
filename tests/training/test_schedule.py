"""Progress by steps and by time, and the learning rate that follows."""

import pytest

from protores.settings import TrainingSettings
from protores.training.schedule import Schedule

SETTINGS = TrainingSettings(steps=100, warmup=0.1, learning_rate=1e-3)


def test_by_steps_alone():
    schedule = Schedule(SETTINGS)
    assert [schedule.progress(step) for step in (0, 50, 100, 120)] == [0, 0.5, 1, 1]


def test_time_wins_where_it_is_tighter(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    schedule = Schedule(SETTINGS, seconds=10.0, elapsed=2.0)
    assert schedule.progress(5) == pytest.approx(0.2)
    now = 3.0
    assert schedule.elapsed == pytest.approx(5.0)
    assert schedule.progress(5) == pytest.approx(0.5)
    assert schedule.progress(80) == pytest.approx(0.8)
    now = 8.5
    assert schedule.progress(5) == 1


def test_paused_time_does_not_count(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    schedule = Schedule(SETTINGS, seconds=10.0)
    now = 2.0
    with schedule.paused():
        now = 7.0
    assert schedule.elapsed == pytest.approx(2.0)
    assert schedule.progress(5) == pytest.approx(0.2)


def test_learning_rate_rises_to_its_peak_and_falls_to_a_hundredth():
    schedule = Schedule(SETTINGS)
    rates = [schedule.learning_rate(schedule.progress(step)) for step in range(101)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) == 10
    assert 0 < rates[0] < rates[5] < rates[10]
    assert all(a > b for a, b in zip(rates[10:], rates[11:], strict=False))
    assert rates[-1] == pytest.approx(1e-5)
