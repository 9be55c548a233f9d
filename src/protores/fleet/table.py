"""The table of a fleet: a CSV file as a spreadsheet writes it, with a product per row.

    product   its name, which becomes a folder's
    data      folder of its images
    preset    quick, standard or paper; where empty standard, or that of training.warm_start
    seed      one, or several as in "0 1 2"; 0 where empty
    ...       any further column is a setting by its dotted key, as split.seen or training.minutes; an empty cell
              leaves it as the preset has it

Paths are seen from the table's folder. Commas, semicolons or tabs separate, whichever the first line has.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protores import presets
from protores.data.layouts import survey
from protores.errors import ProtoresError, SettingsError
from protores.fleet.row import Row
from protores.labels.names import safe
from protores.settings import Settings

REQUIRED = ("product", "data")
OWN = (*REQUIRED, "preset", "seed")
LONGEST = 80
STARTS = ("imagenet", "random")
"""Values of model.weights that are no file."""
MADE = ("data.cache",)
"""Paths that training makes where they do not exist."""


@dataclass(frozen=True)
class Table:
    """rows: seed by seed, so that every product has a figure early and its spread later. delimiter: of the file."""

    rows: tuple[Row, ...]
    delimiter: str


def read_table(path: Path) -> Table:
    """Reads and checks all of it.

    Raises SettingsError, with the row's number as a spreadsheet counts, for the first thing that cannot be trained: a
    name, a folder, a preset, a setting.
    """
    lines, delimiter = _lines(path)
    if not lines:
        raise SettingsError(f"{path} is empty; write a line of columns ({', '.join(OWN)}, settings), then the products")
    columns = [cell.strip() for cell in lines[0]]
    _check_columns(path, columns)
    products: dict[str, list[Row]] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        try:
            rows = _rows(columns, [cell.strip() for cell in cells], path.parent.resolve())
            if rows[0].product.casefold() in products:
                raise SettingsError(f"product {rows[0].product!r} is there twice; give it another name")
        except ProtoresError as error:
            raise SettingsError(f"{path}, row {number}: {error}") from error
        products[rows[0].product.casefold()] = rows
    if not products:
        raise SettingsError(f"{path} has no products; write one per row below the first")
    most = max(map(len, products.values()))
    ordered = [rows[i] for i in range(most) for rows in products.values() if i < len(rows)]
    return Table(tuple(ordered), delimiter)


def _lines(path: Path) -> tuple[list[list[str]], str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); pass a CSV file") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no text in UTF-8; save it as 'CSV UTF-8' in the spreadsheet") from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        return list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)), delimiter
    except csv.Error as error:
        raise SettingsError(f"{path} is no CSV file ({error}); save it as 'CSV UTF-8' in the spreadsheet") from error


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    for name in REQUIRED:
        if name not in columns:
            raise SettingsError(f"{path} has no column {name!r}; its first line names the columns: {', '.join(OWN)}")
    for name in columns:
        if name and columns.count(name) > 1:
            raise SettingsError(f"{path} has the column {name!r} twice; keep one of them")


def _rows(columns: Sequence[str], cells: Sequence[str], home: Path) -> list[Row]:
    """A row for each seed of one line of the table."""
    if any(cells[len(columns) :]):
        raise SettingsError(f"{len(cells)} cells under {len(columns)} columns; quote cells that hold the separator")
    told = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
    for name in REQUIRED:
        if name not in told:
            raise SettingsError(f"{name} is empty; fill it in")
    if told["product"] != (name := safe(told["product"])[:LONGEST]):
        raise SettingsError(f"product {told['product']!r} cannot name a folder; write {name!r}")
    if "data.root" in told:
        raise SettingsError("data.root is what the column data says; leave that column out")
    if told.keys() & {"training.devices", "training.nodes"}:
        raise SettingsError("a row is one process; several devices for one training are for `protores train`")
    data = (home / told["data"]).resolve()
    survey(data)
    preset = told.get("preset")
    texts = {name: cell for name, cell in told.items() if name not in OWN}
    settings = presets.load(preset or "standard", texts)
    overrides = _values(settings, texts, home)
    return [
        Row(told["product"], seed, data, preset, overrides, settings.training.steps)
        for seed in _seeds(told.get("seed", "0"))
    ]


def _seeds(text: str) -> list[int]:
    seeds = re.split(r"[\s,;]+", text)
    if not all(re.fullmatch(r"\d{1,9}", seed) for seed in seeds):
        raise SettingsError(f"seed {text!r} is none; write whole numbers from 0, as in 0 1 2")
    if len(set(map(int, seeds))) < len(seeds):
        raise SettingsError(f"seed {text!r} names one twice; write each once")
    return [int(seed) for seed in seeds]


def _values(settings: Settings, texts: Mapping[str, str], home: Path) -> dict[str, Any]:
    """What the cells came to, as JSON values; paths whole. Raises SettingsError for a path where nothing is."""
    dumped = settings.model_dump(mode="json")
    found = {}
    for key in texts:
        section, _, name = key.partition(".")
        value, plain = getattr(getattr(settings, section), name), dumped[section][name]
        if isinstance(value, Path) or (key == "model.weights" and value not in STARTS):
            plain = _whole(home, value, key)
        elif isinstance(value, tuple) and value and isinstance(value[0], Path):
            plain = [_whole(home, one, key) for one in value]
        found[key] = plain
    return found


def _whole(home: Path, path: Path | str, key: str) -> str:
    whole = (home / path).resolve()
    if key not in MADE and not whole.exists():
        raise SettingsError(f"{key}: {whole} does not exist; correct the path, which is seen from the table's folder")
    return str(whole)
