"""A table is read as spreadsheets write it, and refused with the row's number before anything begins."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protores.errors import SettingsError
from protores.fleet.row import Row
from protores.fleet.table import read_table


def test_a_row_per_product_and_seed_seed_by_seed(write_table, product):
    table = write_table(
        [
            {"product": "housing", "data": "images", "preset": "quick", "seed": "0 1", "split.seen": "5"},
            {"product": "lid", "data": "images"},
        ]
    )
    rows = read_table(table).rows
    assert [(row.product, row.seed) for row in rows] == [("housing", 0), ("lid", 0), ("housing", 1)]
    assert rows[0] == Row("housing", 0, product.resolve(), "quick", {"split.seen": 5}, 1000)
    assert rows[1] == Row("lid", 0, product.resolve(), None, {}, 2000)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_as_spreadsheets_write_it(tmp_path, product, delimiter, mark):
    lines = ["product|data|data.size|", 'Gehäuse "A"|images|[64, 96]|', "|||", ""]
    quoted = [line.replace("[64, 96]", '"[64, 96]"').replace('Gehäuse "A"', "Gehäuse A") for line in lines]
    text = "\r\n".join(quoted).replace("|", delimiter)
    (tmp_path / "t.csv").write_bytes((mark + text).encode())
    read = read_table(tmp_path / "t.csv")
    assert [(row.product, dict(row.overrides)) for row in read.rows] == [("Gehäuse A", {"data.size": [64, 96]})]
    assert read.delimiter == delimiter


def test_paths_are_seen_from_the_table_and_whole(write_table, product, tmp_path, monkeypatch):
    for name in ("roi.png", "start.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "corrected").mkdir()
    own = {"data.roi": "roi.png", "model.weights": "start.safetensors", "data.add": '["corrected"]'}
    table = write_table([{"product": "lid", "data": "images", "data.cache": "made later", **own}])
    monkeypatch.chdir("/")
    row = read_table(table).rows[0]
    home = tmp_path.resolve()
    assert row.data == home / "images"
    assert row.overrides == {
        "data.roi": str(home / "roi.png"),
        "model.weights": str(home / "start.safetensors"),
        "data.add": [str(home / "corrected")],
        "data.cache": str(home / "made later"),
    }


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"data": "elsewhere"}, "row 3: .*elsewhere: no such folder; give the folder"),
        ({"data": "."}, "row 3: .*holds whole products"),
        ({"data": ""}, "row 3: data is empty; fill it in"),
        ({"preset": "fast"}, "row 3: unknown preset 'fast'; choose quick, standard, paper"),
        ({"training.step": "5"}, "row 3: unknown setting 'training.step'; did you mean training.steps"),
        ({"training.steps": "many"}, "row 3: setting training.steps: .*; it was 'many'"),
        ({"training": "5"}, "row 3: 'training' is not one value"),
        ({"data.root": "images"}, "row 3: data.root is what the column data says"),
        ({"training.devices": "2"}, "row 3: a row is one process; several devices"),
        ({"data.roi": "roi.png"}, "row 3: data.roi: .*roi.png does not exist; correct the path"),
        ({"model.weights": "imagenett"}, "row 3: model.weights: .*imagenett does not exist"),
        ({"product": "LID"}, "row 3: product 'LID' is there twice; give it another name"),
        ({"product": "../lid"}, r"row 3: product '../lid' cannot name a folder; write '_.\._lid|write '_"),
        ({"product": "nul"}, "row 3: product 'nul' cannot name a folder; write '_nul'"),
        ({"product": "x" * 81}, "row 3: product .* cannot name a folder; write"),
        ({"seed": "-1"}, "row 3: seed '-1' is none; write whole numbers from 0"),
        ({"seed": "0-2"}, "row 3: seed '0-2' is none"),
        ({"seed": "1 01"}, "row 3: seed '1 01' names one twice"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_its_row(write_table, product, row, says):
    base = {"product": "lid", "data": "images"}
    table = write_table([base, {**base, "product": "housing", **row}])
    with pytest.raises(SettingsError, match=says) as raised:
        read_table(table)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty; write a line of columns"),
        (b"product,folder\nlid,images\n", "no column 'data'; its first line names the columns"),
        (b"product,data\n\n,\n", "has no products; write one per row"),
        (b"product,data,seed,seed\nlid,images,0,1\n", "has the column 'seed' twice; keep one"),
        (b"product,data,split.seen\nlid,images,1,5\n", "row 2: 4 cells under 3 columns; quote cells"),
        (b"product,data\nGeh\xe4use,images\n", "no text in UTF-8; save it as 'CSV UTF-8'"),
        (b'product,data\n"lid,images\n', "no CSV file .*save it as 'CSV UTF-8'"),
        (b"product,data,\nlid,images,5\n", "row 2: unknown setting ''"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, product, content, says):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(SettingsError, match=says):
        read_table(tmp_path / "t.csv")


def test_no_file(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read .*pass a CSV file"):
        read_table(tmp_path / "t.csv")


def test_a_row_is_another_one_where_the_table_says_something_else_of_it(write_table, product, tmp_path):
    base = {"product": "lid", "data": "images", "training.steps": "50"}
    same = [{"training.steps": " 50 "}, {"training.steps": "5e1"}, {"split.seen": ""}, {"training.clip": ""}]
    other = [{"training.steps": "51"}, {"split.seen": "0"}, {"preset": "quick"}, {"seed": "1"}, {"product": "lid2"}]

    def folder(change: dict[str, str]) -> Path:
        return read_table(write_table([base | change])).rows[0].folder(tmp_path).path

    assert {folder(change) for change in same} == {folder({})}
    assert len({folder({}), *(folder(change) for change in other)}) == 1 + len(other)


@given(text=st.text(st.characters(codec="utf-8"), max_size=200))
def test_any_text_gives_a_table_or_one_line(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(f"product,data\n{text}".encode())
    with pytest.raises(SettingsError) as raised:
        read_table(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)
