"""From the figures of a plan's rows to its tables: mean and spread over the seeds, beside what others published.

Means are over seeds; the spread is the sample standard deviation (n - 1), and n is shown. Figures are those of the
averaged weights after the last step. What `best_on_test` has stands in a table of its own, which says what it is.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plan import Plan, Row

from protores.metrics.spread import spread as spread_of

PLANS = Path(__file__).with_name("plans")
PUBLISHED = Path(__file__).with_name("published.toml")
METRICS = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_auroc": "pixel AUROC",
    "pro": "PRO",
    "pixel_ap": "pixel AP",
}
GROUP = ("product", "variant", "preset", "seen")
NO_RESULTS = "No run at full size is recorded yet."
Figures = Mapping[str, Any]


def report(plan: Plan, rows: Sequence[tuple[Row, Figures | None]], failed: Mapping[str, str]) -> dict[str, Any]:
    """All that the tables need, for JSON. rows: each with the figures that row.py wrote, None if it is not finished.

    failed: by a row's name, why.
    """
    finished = [(row, found) for row, found in rows if found is not None]
    groups: dict[tuple, list[tuple[Row, Figures]]] = {}
    for row, found in finished:
        groups.setdefault(tuple(getattr(row, name) for name in GROUP), []).append((row, found))
    return {
        "plan": plan.name,
        "title": plan.title,
        "size": plan.size,
        "seeds": list(plan.seeds),
        "variants": {name: variant.says for name, variant in plan.variants.items() if variant.only != ()},
        "table": [_line(key, [found for _, found in group]) for key, group in groups.items()] + _means(plan, finished),
        "apart": _apart(plan, groups),
        "published": published(plan.published) if plan.size == "full" else [],
        "unfinished": {row.name: failed.get(row.name, "not run") for row, found in rows if found is None},
        "rows": [_entry(row, found) for row, found in finished],
    }


def spread(values: Iterable[float | None]) -> dict[str, Any] | None:
    """n, mean, and the sample standard deviation (None for one value); None where a value is undefined."""
    found = spread_of(values)
    return None if found is None else asdict(found)


def _line(key: tuple, found: Sequence[Figures]) -> dict[str, Any]:
    best = [figures["best_on_test"] for figures in found]
    return {
        **dict(zip(GROUP, key, strict=True)),
        "n": len(found),
        "averaged_weights": {m: spread(f["averaged_weights"][m] for f in found) for m in METRICS},
        "best_on_test": None if None in best else {m: spread(look[m] for look in best) for m in METRICS},
        "training_seconds": spread(figures["training_seconds"] for figures in found),
        "trained_parameters": found[0]["trained_parameters"],
        "gflop": found[0]["gflop"],
    }


def _means(plan: Plan, finished: Sequence[tuple[Row, Figures]]) -> list[dict[str, Any]]:
    """For data sets of several categories the mean over all of them, of the seeds that are finished in all of them."""
    lines = []
    for name, categories in plan.data.items():
        members = {f"{name}/{category}" for category in categories}
        by_key: dict[tuple, dict[str, Figures]] = {}
        for row, found in finished:
            if row.product in members:
                by_key.setdefault((row.variant, row.preset, row.seen, row.seed), {})[row.product] = found
        whole = {key: list(found.values()) for key, found in by_key.items() if found.keys() == members}
        for group in dict.fromkeys(key[:-1] for key in whole) if len(members) > 1 else ():
            seeds = [_mean(found) for key, found in whole.items() if key[:-1] == group]
            lines.append(_line((f"{name}, mean of {len(members)}", *group), seeds))
    return lines


def _mean(found: Sequence[Figures]) -> Figures:
    """One seed's figures, averaged over categories."""

    def mean(values: Iterable[float | None]) -> float | None:
        known = spread(values)
        return None if known is None else known["mean"]

    best = [figures["best_on_test"] for figures in found]
    return {
        "averaged_weights": {m: mean(f["averaged_weights"][m] for f in found) for m in METRICS},
        "best_on_test": None if None in best else {m: mean(look[m] for look in best) for m in METRICS},
        "training_seconds": mean(f["training_seconds"] for f in found),
        "trained_parameters": found[0]["trained_parameters"],
        "gflop": found[0]["gflop"],
    }


def _apart(plan: Plan, groups: Mapping[tuple, Sequence[tuple[Row, Figures]]]) -> list[dict[str, Any]]:
    """Where some trainings see only some kinds: those kinds and the others, judged apart, in each training.

    Those that saw the pair come first, then what trainings that saw all kinds, or none, make of the same kinds.
    """
    lines = []
    for pair in dict.fromkeys(kinds for group in groups.values() for kinds in group[0][0].apart):
        for key, group in groups.items():
            own = plan.variants[key[1]].seen_kinds if key[1] else None
            if pair not in group[0][0].apart or own not in (None, pair):
                continue
            found = [figures["apart"][",".join(pair)] for _, figures in group]
            judged = {half: {m: spread(f[half][m] for f in found) for m in METRICS} for half in ("seen", "unseen")}
            own_key = dict(zip(GROUP, key, strict=True))
            lines.append({**own_key, "kinds": list(pair), "n": len(group), "judged": judged})
    return lines


def _entry(row: Row, found: Figures) -> dict[str, Any]:
    own = {name: getattr(row, name) for name in (*GROUP, "seed", "masks")}
    return {**own, "overrides": dict(row.overrides), **found}


def published(names: Sequence[str]) -> list[dict[str, Any]]:
    """What published.toml has for these data sets and categories, in percent."""
    with PUBLISHED.open("rb") as file:
        return [figures for figures in tomllib.load(file)["figures"] if figures["set"] in names]


def markdown(found: Figures) -> str:
    """The tables of a report, and in words how they came about."""
    parts = [f"**{found['title']}** (`benchmarks/plans/{found['plan']}.toml`)"]
    if found["rows"]:
        parts += [_caption(found), _ours(found)]
        parts += [_apart_table(found)] if found["apart"] else []
        parts += [_best(found)] if any(line["best_on_test"] for line in found["table"]) else []
    else:
        parts.append(NO_RESULTS)
    if found["published"]:
        parts += ["Published:", _published(found["published"])]
    if found["unfinished"]:
        parts.append(_unfinished(found["unfinished"]))
    says = [f"- {name}: {text}" for name, text in found["variants"].items() if text]
    return "\n\n".join([parts[0], *(["\n".join(says)] if says else []), *parts[1:]]) + "\n"


def _caption(found: Figures) -> str:
    rows = found["rows"]
    machines = {row["machine"]["gpu"] or _processor(row["machine"]) for row in rows}
    inputs = {"{} x {}".format(*row["input"]) for row in rows}
    reduced = "Reduced size, for CPUs: not comparable with published figures. " if found["size"] == "reduced" else ""
    return (
        f"{reduced}Input {_listed(inputs)}; {_listed({row['steps'] for row in rows})} steps; on {_listed(machines)}. "
        "Percent: averaged weights of the last step, seen defects out of the test set, mean ± standard deviation over n"
        " seeds."
    )


def _processor(machine: Figures) -> str:
    return f"{machine['threads']} core{'s' * (machine['threads'] > 1)} of {machine['processor']}"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in sorted(values))


def _ours(found: Figures) -> str:
    shown = _varying(found["table"])
    head = [*shown, "n", *METRICS.values(), "training, s", "trained M", "GFLOP"]
    lines = [
        [
            *(_named(line, name) for name in shown),
            line["n"],
            *(_cell(line["averaged_weights"][metric]) for metric in METRICS),
            _cell(line["training_seconds"], 1.0, 0),
            f"{line['trained_parameters'] / 1e6:.2f}",
            line["gflop"],
        ]
        for line in found["table"]
    ]
    return table(head, lines)


def _best(found: Figures) -> str:
    """What is not ours to report, and why it is here."""
    shown = _varying(found["table"])
    lines = [
        [*(_named(line, name) for name in shown), line["n"], *(_cell(line["best_on_test"][m]) for m in METRICS)]
        for line in found["table"]
        if line["best_on_test"]
    ]
    return (
        "`best_on_test`, the look at the test set with the highest image AUROC, then pixel AP, as much of the"
        " literature reports it. It is picked on the test images, so it is no figure of ours:\n\n"
        + table([*shown, "n", *METRICS.values()], lines)
    )


def _apart_table(found: Figures) -> str:
    lines = [
        [line["product"], kinds, _named(line, "variant"), line["seen"], line["n"]]
        + [_cell(line["judged"][half][metric]) for metric in METRICS]
        for line in found["apart"]
        for half, kinds in (("seen", ", ".join(line["kinds"])), ("unseen", "not " + ", ".join(line["kinds"])))
    ]
    head = ["product", "defects judged", "trained on", "seen", "n", *METRICS.values()]
    return "The kinds that a training sees, and all others, judged apart, in it and in the others:\n\n" + table(
        head, lines
    )


def _published(figures: Sequence[Figures]) -> str:
    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    lines = [
        [f["set"], f["method"], f["seen"], *(shown(f.get(metric)) for metric in METRICS), f["source"]]
        for f in figures
    ]
    return table(["data", "method", "seen", *METRICS.values(), "source"], lines)


def _unfinished(names: Mapping[str, str]) -> str:
    failed = {name: why for name, why in names.items() if why != "not run"}
    lines = [f"- {name}: {why}" for name, why in failed.items()]
    waiting = len(names) - len(failed)
    return "\n".join([f"Not finished: {len(failed)} failed, {waiting} not run.", *lines])


def _varying(lines: Sequence[Figures]) -> list[str]:
    """The product, and what else differs between the lines."""
    return ["product", *(name for name in GROUP[1:] if len({str(line[name]) for line in lines}) > 1)]


def _named(line: Figures, name: str) -> str:
    return str(line[name]) if line[name] != "" else "-"


def _cell(value: Figures | None, scale: float = 100.0, digits: int = 1) -> str:
    if value is None:
        return "-"
    mean = f"{scale * value['mean']:.{digits}f}"
    return mean if value["std"] is None else f"{mean} ± {scale * value['std']:.{digits}f}"


def table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def fill_docs(page: Path, results: Path) -> None:
    """Puts between <!-- accuracy:PLAN --> and <!-- /accuracy:PLAN --> what `results` has of each plan in PLANS."""
    text = page.read_text(encoding="utf-8")
    for name in dict.fromkeys(part.partition(" -->")[0] for part in text.split("<!-- accuracy:")[1:]):
        begin, end = f"<!-- accuracy:{name} -->", f"<!-- /accuracy:{name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        full, reduced = (results / f"accuracy_{name}_{size}.json" for size in ("full", "reduced"))
        found = [_kept(full) if full.exists() else report(Plan.read(PLANS / f"{name}.toml"), [], {})]
        found += [_kept(reduced)] if reduced.exists() else []
        text = before + begin + "\n" + "\n".join(map(markdown, found)) + end + after
    page.write_text(text, encoding="utf-8")


def _kept(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))["figures"]
