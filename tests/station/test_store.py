"""The store: what it keeps, in what order it gives it back, and what it refuses to open."""

import sqlite3

import pytest

from protores.errors import StationError
from protores.station.records import Judgement, Record
from protores.station.schema import VERSION
from protores.station.store import FEEDBACK_FILTERS, Entry, Store


def record(number: int, sha256: str = "", verdict: str | None = "good") -> Record:
    return Record(
        id=f"{number:016x}", time=f"2026-01-{1 + number % 28:02d}T00:00:00.000Z", name="a.png",
        sha256=sha256 or str(number), model="m", score=0.5, verdict=verdict, good_below=None, bad_above=None,
        size=(2, 3), regions=(), seconds=0.1,
    )  # fmt: skip


def add(store: Store, *records: Record) -> None:
    for one in records:
        store.put_image(one.id, one.time, one.id.encode())
    store.add([Entry(one, b"map") for one in records])


def say(store: Store, one: Record, label: str, mask: bytes | None = None) -> None:
    assert store.judge(Judgement(id=one.id, label=label), mask) is not None


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store", serving=True) as opened:
        yield opened


def test_all_comes_back_after_a_restart(tmp_path):
    first, second = record(1), record(2, verdict=None)
    with Store(tmp_path, serving=True) as store:
        add(store, first, second)
        say(store, second, "bad", b"mask")
    with Store(tmp_path, serving=True) as store:
        assert store.get(first.id) == first
        again = store.get(second.id)
        assert again.model_copy(update={"feedback": None}) == second
        assert (again.feedback.label, again.feedback.kind, again.feedback.has_mask) == ("bad", None, True)
        assert (store.image(first), store.map(first.id), store.mask(second.id)) == (first.id.encode(), b"map", b"mask")
        assert (store.get("0" * 16), store.map("0" * 16), store.mask(first.id)) == (None, None, None)


@pytest.mark.parametrize("feedback", [None, *FEEDBACK_FILTERS])
@pytest.mark.parametrize("verdict", [None, "good", "bad"])
def test_pages_are_a_filtered_history_newest_first(store, verdict, feedback):
    records = [record(number, verdict=("good", "bad", None)[number % 3]) for number in range(23)]
    add(store, *records)
    said = {one.id: ("good", "bad")[number % 2] for number, one in enumerate(records) if number % 4}
    for one in records:
        if one.id in said:
            say(store, one, said[one.id])
    matches = {
        None: lambda label: True,
        "any": lambda label: label is not None,
        "none": lambda label: label is None,
        "good": lambda label: label == "good",
        "bad": lambda label: label == "bad",
    }[feedback]
    expected = [
        one.id for one in reversed(records) if verdict in (None, one.verdict) and matches(said.get(one.id))
    ]
    found, before = [], None
    while True:
        page, following = store.page(5, before, verdict, feedback)
        found += [one.id for one in page]
        if following is None:
            break
        assert len(page) == 5
        before = following
    assert found == expected
    assert store.counts() == {"all": 23, "good": 8, "look-again": 0, "bad": 8, "feedback": len(said)}
    assert store.counts() == {"all": 23, "good": 8, "look-again": 0, "bad": 8, "feedback": len(said)}


def test_verdicts_are_kept_all_or_none(store):
    add(store, record(1))
    store.put_image(record(2).id, record(2).time, b"image")
    with pytest.raises(sqlite3.IntegrityError):
        store.add([Entry(record(2), b"map"), Entry(record(1), b"map")])
    assert [one.id for one in store.page(10)[0]] == [record(1).id]
    store.add([Entry(record(2), b"map")])
    assert [one.id for one in store.page(10)[0]] == [record(2).id, record(1).id]


def test_of_several_verdicts_on_an_image_what_was_said_last_counts(store, monkeypatch):
    times = iter(f"2026-02-01T00:00:0{second}.000Z" for second in range(9))
    monkeypatch.setattr("protores.station.store.now", lambda: next(times))
    first, second, other = record(1, "same"), record(2, "same"), record(3)
    add(store, first, second, other)
    say(store, second, "good")
    say(store, other, "good")
    say(store, first, "bad")
    assert [(one.id, one.feedback.label) for one in store.judged()] == [(first.id, "bad"), (other.id, "good")]
    store.take_back(first.id)
    assert [(one.id, one.feedback.label) for one in store.judged()] == [(second.id, "good"), (other.id, "good")]


def test_a_second_station_is_refused_and_a_reader_is_not(store, tmp_path):
    add(store, record(1))
    with pytest.raises(StationError, match="another station"):
        Store(tmp_path / "store", serving=True)
    with Store(tmp_path / "store", serving=False) as reader:
        assert reader.get(record(1).id) == record(1)
    store.close()
    Store(tmp_path / "store", serving=True).close()


def test_a_newer_store_is_left_alone(tmp_path):
    Store(tmp_path, serving=True).close()
    with sqlite3.connect(tmp_path / "station.db") as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    for serving in (True, False, True):
        with pytest.raises(StationError, match="newer protores .* update protores$"):
            Store(tmp_path, serving=serving)


def test_another_programs_database_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "station.db") as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    with pytest.raises(StationError, match="no station's"):
        Store(tmp_path, serving=True)


def test_what_is_no_database_is_said_so(tmp_path):
    (tmp_path / "station.db").write_bytes(b"no database, " * 500)
    with pytest.raises(StationError, match="cannot be used"):
        Store(tmp_path, serving=True)


def test_a_store_that_is_not_there_is_not_made_to_be_read(tmp_path):
    with pytest.raises(StationError, match="no station's store"):
        Store(tmp_path / "none", serving=False)
    assert not (tmp_path / "none").exists()


def test_an_image_that_is_gone_is_told_without_its_path(store, tmp_path):
    one = record(1)
    add(store, one)
    store.drop_image(one.id, one.time)
    with pytest.raises(StationError, match="restore") as raised:
        store.image(one)
    assert str(tmp_path) not in str(raised.value)


def test_old_verdicts_are_forgotten_unless_they_were_judged(store, tmp_path):
    old, judged, new = record(0), record(1), record(2)  # of the first three days of a month
    add(store, old, judged, new)
    say(store, judged, "bad")
    assert store.forget("2026-01-03T00:00:00.000Z") == 1
    assert [one.id for one in store.page(10)[0]] == [new.id, judged.id]
    assert {path.name for path in (tmp_path / "store" / "images").rglob("*") if path.is_file()} == {judged.id, new.id}
    assert not (tmp_path / "store" / "images" / "2026-01-01").exists()
    assert store.forget("2026-01-03T00:00:00.000Z") == 0
    store.take_back(judged.id)
    assert store.forget("2026-01-03T00:00:00.000Z") == 1


def test_a_station_forgets_what_is_older_than_it_keeps(make_station, tmp_path, until):
    with Store(tmp_path / "store", serving=True) as store:
        add(store, record(0))
    station = make_station(keep_days=30)
    until(lambda: station.store.get(record(0).id) is None)
