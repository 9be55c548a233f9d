"""The station under load on 2 cores, beside what `protores predict` does over a folder of the same images.

    python benchmarks/station.py [--seconds 60] [--clients 8] [--bundle DIR] [--prototypes 40]

A station with an empty store, and clients in a process of their own that send PNG files of 512 x 512, each the next
as soon as its verdict is there; before and after it `predict` over as many files as it takes for a quarter of that
time, as it is and with --no-pictures. The bundle is the one of benchmarks/speed.py (random weights, OpenVINO in bf16),
unless one is given. All of it is pinned to two cores, clients included. Asked for are no error, a p99 of at most 3 x
the network's time per image in a full batch x the images in the queue, and at least 0.8 of predict's images per
second; the figures are written, to docs/station.md too, where it ran for 60 s or longer.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common import ROOT, hardware, median_seconds, write

from protores.bundle.contract import Contract
from protores.prediction import predict
from protores.runtime.engine import open_engine
from protores.runtime.procedure import BATCH
from protores.toy.dataset import draw_good

SIDE = 512
DRAWN = 50
WARM_UP = 2.0
"""Seconds of load that do not count."""
Figures = dict[str, Any]


def toy_bundle(home: Path, prototypes: int) -> Path:
    from speed import bundles

    return bundles(home, prototypes, {}, ("openvino_bf16",))["openvino_bf16"]


def draw_files(folder: Path) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:03d}.png" for number in range(DRAWN)]
    for seed, file in enumerate(files):
        file.write_bytes(cv2.imencode(".png", draw_good(np.random.default_rng(seed), SIDE)[..., ::-1])[1].tobytes())
    return files


def network_seconds(bundle: Path) -> float:
    """Of one image in a full batch."""
    contract = Contract.read(bundle)
    engine = open_engine(bundle, contract, threads=2)
    images = np.random.default_rng(0).random((BATCH, 3, *contract.image.size), np.float32)
    return median_seconds(lambda: engine(images), repeats=15, warmup=3) / BATCH


def predict_rate(bundle: Path, drawn: list[Path], home: Path, images: int, pictures: bool) -> float:
    """Images per second of predict over a folder."""
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        folder = Path(temporary) / "images"
        folder.mkdir()
        for number in range(images):
            (folder / f"{number:05d}.png").write_bytes(drawn[number % len(drawn)].read_bytes())
        start = time.perf_counter()
        predict(bundle, [folder], Path(temporary) / "found", threads=2, pictures=pictures)
        return images / (time.perf_counter() - start)


def load(port: int, clients: int, seconds: float, files: list[Path]) -> Figures:
    """What the clients' process measures: each sends, waits for the verdict, and sends the next."""
    contents = [file.read_bytes() for file in files]
    begin = time.perf_counter() + WARM_UP
    headers = {"Content-Type": "image/png"}

    def client(number: int) -> tuple[list[float], list[str]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        latencies, errors, sent = [], [], number
        while (start := time.perf_counter()) < begin + seconds:
            connection.request("POST", "/v1/inspect", contents[sent % len(contents)], headers)
            answer = connection.getresponse()
            body = answer.read()
            sent += clients
            if answer.status != 200:
                errors.append(f"{answer.status} {body[:200]!r}")
            elif start >= begin:
                latencies.append(time.perf_counter() - start)
        return latencies, errors

    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(client, range(clients)))
    took = time.perf_counter() - begin
    latencies = sorted(latency for own, _ in found for latency in own)
    errors = [error for _, own in found for error in own]
    return {
        "images": len(latencies),
        "errors": len(errors),
        "first_errors": errors[:3],
        "images_per_second": round(len(latencies) / took, 2),
        **{f"{name}_ms": round(1e3 * latencies[min(len(latencies) - 1, int(share * len(latencies)))], 1)
           for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))},
    }  # fmt: skip


def station(bundle: Path, drawn: list[Path], home: Path, clients: int, seconds: float) -> Figures:
    """The station as a process, and what another with the clients tells."""
    command = [sys.executable, "-m", "protores.cli", "serve", str(bundle), "--port", "0", "--threads", "2"]
    served = subprocess.Popen([*command, "--store", str(home / "store")], stdout=subprocess.PIPE, text=True)
    assert served.stdout is not None
    try:
        found = re.search(r"127\.0\.0\.1:(\d+)", served.stdout.readline())
        assert found is not None, "the station did not start"
        port = int(found[1])
        arguments = ["--load", str(port), "--clients", str(clients), "--seconds", str(seconds)]
        told = subprocess.run(
            [sys.executable, __file__, *arguments, "--files", str(drawn[0].parent)],
            stdout=subprocess.PIPE, text=True, check=True,
        ).stdout  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()
    finally:
        served.terminate()
        served.wait(120)
    metric = {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", metrics, re.M)}
    return {
        **json.loads(told),
        "mean_batch": round(metric["protores_batch_images_sum"] / metric["protores_batch_images_count"], 2),
        "rss_mib": round(metric["process_resident_memory_bytes"] / 2**20),
        "exit_code": served.returncode,
    }


def measure(bundle: Path, home: Path, clients: int, seconds: float) -> Figures:
    drawn = draw_files(home / "drawn")
    per_image = network_seconds(bundle)
    images = max(2 * DRAWN, round(seconds / 4 / per_image))
    rates: dict[bool, list[float]] = {True: [], False: []}

    def predict_both() -> None:
        for pictures, found in rates.items():
            found.append(predict_rate(bundle, drawn, home, images, pictures))

    predict_both()
    served = station(bundle, drawn, home, clients, seconds)
    predict_both()
    rate = {pictures: statistics.mean(found) for pictures, found in rates.items()}
    return {
        "clients": clients,
        "seconds": seconds,
        "size": [SIDE, SIDE],
        "network_ms_per_image_in_full_batch": round(1e3 * per_image, 2),
        "station": served,
        "predict_images": images,
        "predict_images_per_second": round(rate[True], 2),
        "predict_images_per_second_without_pictures": round(rate[False], 2),
        "throughput_over_predict": round(served["images_per_second"] / rate[True], 3),
        "throughput_over_predict_without_pictures": round(served["images_per_second"] / rate[False], 3),
        "p99_over_network_time_of_the_queue": round(served["p99_ms"] / (1e3 * per_image * clients), 3),
    }


def tell(figures: Figures, cpu: str) -> None:
    """Puts the figures into docs/station.md."""
    served, clients = figures["station"], figures["clients"]
    ratio, network_ms = figures["p99_over_network_time_of_the_queue"], figures["network_ms_per_image_in_full_batch"]
    predicted, bare = (figures[f"predict_images_per_second{which}"] for which in ("", "_without_pictures"))
    sentences = (
        f"{clients} clients for {figures['seconds']:.0f} s on 2 cores ({cpu}), which they share",
        f"with the station, with PNG files of {SIDE} x {SIDE}: {served['images_per_second']:.1f} images per second,",
        f"{served['errors']} errors, half of the verdicts within {served['p50_ms']:.0f} ms and 99 % within",
        f"{served['p99_ms']:.0f} ms. That is {ratio:.1f} times what the network takes for the {clients} images that",
        f"wait at most ({network_ms:.1f} ms each in a full batch). `predict` over a folder of the same files",
        f"does {predicted:.1f} per second, {bare:.1f} with `--no-pictures`. The station then holds",
        f"{served['rss_mib']} MiB. `benchmarks/station.py` made these figures; `benchmarks/results/station.json`",
        "has all of them.",
    )
    text = "\n".join(sentences)
    path = ROOT / "docs" / "station.md"
    before, _, rest = path.read_text().partition("<!-- load -->")
    _, _, after = rest.partition("<!-- /load -->")
    path.write_text(f"{before}<!-- load -->\n{text}\n<!-- /load -->{after}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--prototypes", type=int, default=40)
    parser.add_argument("--load", type=int, metavar="PORT", help="be the clients of a station that runs there")
    parser.add_argument("--files", type=Path, help="their images")
    arguments = parser.parse_args()
    if arguments.load:
        files = sorted(arguments.files.iterdir())
        print(json.dumps(load(arguments.load, arguments.clients, arguments.seconds, files)))
        sys.exit()
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        given = arguments.bundle or toy_bundle(Path(temporary), arguments.prototypes)
        figures = measure(given, Path(temporary), arguments.clients, arguments.seconds)
    print(json.dumps(figures, indent=2))
    loads = {"before": round(before, 2), "after": round(os.getloadavg()[0], 2)}
    if arguments.seconds >= 60:
        name = str(arguments.bundle.name) if arguments.bundle else "as in benchmarks/speed.py"
        print(write("station", figures, seed=0, bundle=name, pinned_to=len(cores), load_average=loads))
        tell(figures, hardware()["cpu"])
