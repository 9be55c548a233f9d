"""Fills the tables of docs/performance.md from the JSON of speed.py, graph_forms.py and matching.py.

python benchmarks/performance_page.py
"""

import json
import re
from typing import Any

from common import RESULTS, ROOT

PAGE = ROOT / "docs/performance.md"
COLUMNS = (
    "openvino bf16",
    "openvino f32",
    "openvino int8",
    "onnxruntime f32",
    "onnxruntime int8",
    "torch f32",
    "torch bf16",
)
TARGETS = {
    "ours / floor, openvino bf16": 2.5,
    "ours / supersimplenet_r18, openvino bf16": 0.65,
    "ours int8 / floor bf16, openvino": 2.0,
    "ours / floor, onnxruntime f32": 2.5,
}
Figures = dict[str, Any]


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def machine(record: Figures) -> str:
    hardware = record["hardware"]
    versions = ", ".join(f"{name} {hardware['versions'][name]}" for name in ("openvino", "onnxruntime", "torch"))
    peers = record["figures"].get("peers")
    with_peers = f", anomalib {peers['anomalib']}" if peers else ""
    load, own = record["load_average"], record["figures"]
    return (
        f"{hardware['cpu']}, {record['pinned_to']} cores; {versions}{with_peers}; K = {own['prototypes']} prototypes, "
        f"{own['rounds']} rounds; load average {load['before']} before, {load['after']} after."
    )


def networks(figures: Figures, batch: int) -> str:
    found = figures[f"batch_{batch}"]["networks"]
    names = list(dict.fromkeys(key.split(" ")[0] for key in found))

    def cell(key: str) -> str:
        own = found.get(key)
        return f"{own['median_ms']:.1f} ({own['min_ms']:.1f} to {own['max_ms']:.1f})" if own else ""

    rows = [[name, *(cell(f"{name} {column}") for column in COLUMNS)] for name in names]
    return table([f"ms, batch {batch}", *COLUMNS], rows)


def ratios(figures: Figures) -> str:
    found = [figures[f"batch_{batch}"]["ratios"] for batch in (1, 8)]
    rows = [
        [name, *(f"{own[name]:.2f}" for own in found), f"<= {TARGETS[name]}" if name in TARGETS else ""]
        for name in found[0]
    ]
    return table(["ratio of medians", "batch 1", "batch 8", "to reach, batch 1"], rows)


def steps(figures: Figures) -> str:
    names = "decode", "resize", "network", "score and regions"
    rows = []
    for key in ("openvino_bf16", "onnx_f32"):
        own = figures[f"steps_{key}"]
        parts = [f"{own[name]['median_ms']:.1f} ({100 * own['shares'][name]:.0f} %)" for name in names]
        rows.append([key.replace("_", " "), f"{own['whole']['median_ms']:.1f}", *parts])
    return table(["ms (share)", "whole", *names], rows)


def fresh(figures: Figures) -> str:
    rows = [
        [
            key.replace("_", " "),
            f"{own['import_to_first_result']['median_ms'] / 1e3:.2f}",
            f"{own['process_start_to_end']['median_ms'] / 1e3:.2f}",
            own["peak_rss_mib"],
        ]
        for key in ("onnx_f32", "openvino_bf16")
        for own in [figures[f"fresh_{key}"]]
    ]
    return table(["new process", "import to first result, s", "whole process, s", "peak RSS, MiB"], rows)


def folder(figures: Figures) -> str:
    own = figures["folder_openvino_bf16"]
    return (
        f"`protores predict` over {own['images']} PNG files of {own['size'][0]} x {own['size'][1]}, OpenVINO bf16: "
        f"{own['images_per_second_with_pictures']} images/s with pictures, "
        f"{own['images_per_second_without_pictures']} without."
    )


def forms(record: Figures) -> str:
    columns = "openvino bf16", "openvino f32", "onnxruntime f32"
    rows = [[name, *(f"{own[c]:.1f}" for c in columns)] for name, own in record["figures"]["cpu_ms"].items()]
    head = f"CPU ms of one thread, K = {record['figures']['prototypes']}"
    return table([head, *columns], rows)


def matching(record: Figures) -> str:
    rows = [
        [key, *(f"{100 * own['another']:.0f} % ({100 * (own['energy'] - 1):.2f} %)" for own in ways.values())]
        for key, ways in record["figures"].items()
    ]
    return table(["another prototype (energy added)", *next(iter(record["figures"].values()))], rows)


if __name__ == "__main__":
    speed, graph, match = (
        json.loads((RESULTS / f"{name}.json").read_text()) for name in ("speed", "graph_forms", "matching")
    )
    figures = speed["figures"]
    parts = {
        "machine": machine(speed),
        "networks": networks(figures, 1) + "\n\n" + networks(figures, 8),
        "ratios": ratios(figures),
        "steps": steps(figures) + "\n\n" + folder(figures),
        "fresh": fresh(figures),
        "forms": forms(graph),
        "matching": matching(match),
    }
    page = PAGE.read_text()
    for name, text in parts.items():
        found = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page = found.sub(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page)
    PAGE.write_text(page)
