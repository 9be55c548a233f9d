"""A station under load for a long time: broken images among the others, stopped in the middle, and killed.

    python benchmarks/soak.py [--minutes 20] [--clients 4] [--rate 8] [--broken 0.01]

Clients send images of the toy product, and broken ones among them, to `protores serve` on a small exported network, at
a rate far below what it could do: what is looked for are losses and leaks, not speed. After a half of the time the
station gets SIGTERM and is started again on the same store, after three quarters `kill -9`; clients send again what was
not answered. In the end every verdict that a client was given is looked up over HTTP and in SQLite, where it has to be
the same, with the same image. Memory is sampled in each of the three lives: its median after a warm-up and its median
at the end may differ by 5 %. Results: benchmarks/results/soak.json, for docs/reliability.md. Linux alone.
"""

import argparse
import hashlib
import http.client
import json
import os
import re
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from typing import Any

import cv2
import numpy as np
from common import write

from protores.station.store import DATABASE, Store
from protores.toy.dataset import draw_good

SIDE = 256
DRAWN = 50
FLAT = 0.05
"""By which share memory may differ."""
WARM_UP = WINDOW = 0.2
"""Shares of a life: that which does not count, and those whose medians are compared."""
SAMPLE_SECONDS = 0.5
HEADERS = {"Content-Type": "image/png"}
Figures = dict[str, Any]


def bomb() -> bytes:
    """A PNG file whose header promises 3.6 gigapixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def broken(rng: Random, content: bytes) -> tuple[str, bytes]:
    """A kind and a file that no station can inspect."""
    kinds = {
        "truncated": content[: rng.randrange(100, len(content) // 2)],
        "empty": b"",
        "zeros": bytes(len(content)),
        "bomb": bomb(),
        "another type": b"%PDF-1.7\n" + content[100:],
        "random": rng.randbytes(5000),
    }
    return rng.choice(list(kinds.items()))


class Served:
    """`protores serve` as a process; the next life is at the same port, on the same store."""

    def __init__(self, bundle: Path, home: Path):
        self.bundle, self.store, self.log = bundle, home / "store", home / "log"
        self.port = 0
        self.exits: list[int] = []
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "protores.cli", "serve", str(self.bundle), "--port", str(self.port)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--store", str(self.store), "--threads", "1"],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        assert found is not None, "the station did not start"
        self.port = int(found[1])

    def end(self, by: signal.Signals) -> None:
        self.process.send_signal(by)
        self.exits.append(self.process.wait(120))

    def resident(self) -> float:
        """MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())


class Clients:
    """Threads that send until they are told to stop. accepted: the verdicts that they were given, by id."""

    def __init__(self, port: int, files: list[bytes], number: int, rate: float, share: float):
        self.port, self.files, self.share = port, files, share
        self.pause = number / rate
        self.accepted: dict[str, dict[str, Any]] = {}
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._lock, self._stop = Lock(), Event()
        self._threads = [Thread(target=self._run, args=(Random(seed),)) for seed in range(number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """What is on its way is answered first."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, rng: Random) -> None:
        while not self._stop.wait(self.pause * rng.uniform(0.5, 1.5)):
            kind, content = "whole", rng.choice(self.files)
            if rng.random() < self.share:
                kind, content = broken(rng, content)
            status, body = self._answer(content)
            with self._lock:
                self._take(kind, content, status, body)

    def _take(self, kind: str, content: bytes, status: int, body: bytes) -> None:
        self.counts[kind] += 1
        if status != (200 if kind == "whole" else 413 if kind == "bomb" else 422):
            self.wrong.append(f"{kind}: {status} {body[:200]!r}")
        elif kind == "whole":
            (verdict,) = json.loads(body)["verdicts"]
            if verdict["sha256"] != hashlib.sha256(content).hexdigest() or verdict["id"] in self.accepted:
                self.wrong.append(f"a verdict on another image: {verdict['id']}")
            self.accepted[verdict["id"]] = verdict

    def _answer(self, content: bytes) -> tuple[int, bytes]:
        """Sent again while nobody is there, and where the station has no place or stops."""
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.request("POST", "/v1/inspect", content, HEADERS)
                answer = connection.getresponse()
                status, body = answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                status, body = 0, b""
            finally:
                connection.close()
            if status not in (0, 429, 503):
                return status, body
            with self._lock:
                self.counts[f"sent again after {status or 'no answer'}"] += 1
            time.sleep(0.2)


def live(served: Served, seconds: float) -> list[float]:
    """Samples of memory, MiB."""
    ends, samples = time.monotonic() + seconds, []
    while time.monotonic() < ends:
        samples.append(served.resident())
        time.sleep(SAMPLE_SECONDS)
    return samples


def life(samples: list[float]) -> Figures:
    """Of one process: its medians after the warm-up and at the end."""
    window = max(1, round(WINDOW * len(samples)))
    begin = round(WARM_UP * len(samples))
    early, late = statistics.median(samples[begin : begin + window]), statistics.median(samples[-window:])
    return {
        "seconds": round(len(samples) * SAMPLE_SECONDS),
        "after the warm-up, MiB": round(early, 1),
        "at the end, MiB": round(late, 1),
        "growth": round(late / early - 1, 4),
    }


def looked_up(served: Served, accepted: dict[str, dict[str, Any]]) -> Figures:
    """How many of the verdicts are missing or another, over HTTP; the station is there still."""
    found, following = {}, ""
    while following is not None:
        page = served.get(f"/v1/verdicts?limit=500{following and f'&before={following}'}")
        found |= {verdict["id"]: verdict for verdict in page["verdicts"]}
        following = page["next"]
    return {
        "missing over HTTP": len(accepted.keys() - found.keys()),
        "another over HTTP": sum(found[id] != verdict for id, verdict in accepted.items() if id in found),
        "verdicts that no client was told": len(found.keys() - accepted.keys()),
        "queue in the end": served.get("/health")["queue"],
    }


def on_disk(store: Path, accepted: dict[str, dict[str, Any]]) -> Figures:
    """The same in SQLite, and their images; the station has ended."""
    missing = other = images = 0
    with Store(store, serving=False) as opened:
        for id, verdict in accepted.items():
            record = opened.get(id)
            if record is None:
                missing += 1
                continue
            other += record.model_dump(mode="json") != verdict
            images += hashlib.sha256(opened.image(record)).hexdigest() != verdict["sha256"]
    database = sqlite3.connect(store / DATABASE)
    (integrity,) = database.execute("PRAGMA integrity_check").fetchone()
    database.close()
    return {
        "missing in SQLite": missing,
        "another in SQLite": other,
        "images that are others": images,
        "integrity": integrity,
    }


def soak(bundle: Path, home: Path, seconds: float, clients: int, rate: float, share: float) -> Figures:
    """All of it; `passed` says whether nothing was lost, refused or answered wrongly, and memory stayed."""
    files = [drawn(number) for number in range(DRAWN)]
    served = Served(bundle, home)
    sending = Clients(served.port, files, clients, rate, share)
    lives = []
    try:
        for part, ended_by in ((0.5, signal.SIGTERM), (0.25, signal.SIGKILL)):
            lives.append(life(live(served, part * seconds)))
            served.end(ended_by)
            served.start()
        lives.append(life(live(served, 0.25 * seconds)))
        sending.stop()
        over_http = looked_up(served, sending.accepted)
        served.end(signal.SIGTERM)
    finally:
        sending.stop()
        served.process.kill()
    log = served.log.read_text()
    counts = dict(sorted(sending.counts.items()))
    figures = {
        "seconds": round(seconds),
        "clients": clients,
        "requests": counts,
        "accepted": len(sending.accepted),
        **over_http,
        **on_disk(served.store, sending.accepted),
        "wrong answers": len(sending.wrong),
        "first wrong answers": sending.wrong[:3],
        "exit codes": served.exits,
        "lines in the log": log.count("\n"),
        "tracebacks in the log": log.count("Traceback"),
        "lives": lives,
    }
    return figures | {"nothing lost": _nothing_lost(figures), "flat": all(abs(one["growth"]) <= FLAT for one in lives)}


def _nothing_lost(figures: Figures) -> bool:
    zero = (
        "missing over HTTP", "another over HTTP", "queue in the end", "missing in SQLite", "another in SQLite",
        "images that are others", "wrong answers", "tracebacks in the log",
    )  # fmt: skip
    ended = figures["exit codes"] == [0, -signal.SIGKILL, 0]
    return ended and figures["integrity"] == "ok" and figures["accepted"] > 0 and not any(figures[key] for key in zero)


def drawn(number: int) -> bytes:
    """A good part as PNG."""
    image = draw_good(np.random.default_rng(number), SIDE)
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def exported(home: Path) -> Path:
    """A bundle of a small network, random weights."""
    from speed import bundles

    return bundles(home, 10, {"data.size": "[128, 128]"}, ("onnx_f32",))["onnx_f32"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rate", type=float, default=8, help="images a second, of all clients")
    parser.add_argument("--broken", type=float, default=0.01, help="share")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        figures = soak(exported(home), home, 60 * asked.minutes, asked.clients, asked.rate, asked.broken)
    print(json.dumps(figures, indent=2))
    print(write("soak", figures, seed=0))
    sys.exit(not (figures["nothing lost"] and figures["flat"]))


if __name__ == "__main__":
    main()
