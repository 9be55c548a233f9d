"""What waiting threads cost: training's kind of work beside a busy neighbour, spinning against sleeping soon.

    python benchmarks/threads.py

Runs convolutions and element-wise work with two torch threads, alone and beside a process that never rests, with
libgomp's default and with GOMP_SPINCOUNT=3000, which `protores` sets; interleaved, medians of the rounds.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import write

WORK = """
import time, torch
torch.set_num_threads(2)
convs = [torch.nn.Conv2d(64, 64, 3, padding=1).to(memory_format=torch.channels_last) for _ in range(4)]
x = torch.randn(16, 64, 64, 64).contiguous(memory_format=torch.channels_last)
times = []
with torch.no_grad():
    for _ in range(12):
        start = time.perf_counter()
        y = x
        for conv in convs:
            y = torch.relu(conv(y))
        for _ in range(50):
            y = y + 1
        times.append(time.perf_counter() - start)
print(sorted(times[2:])[5])
"""


def seconds(spin: str | None) -> float:
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    if spin:
        environment["GOMP_SPINCOUNT"] = spin
    return float(
        subprocess.run([sys.executable, "-c", WORK], env=environment, capture_output=True, check=True).stdout
    )


def main() -> None:
    found: dict[str, list[float]] = {}
    for _ in range(5):
        for neighbour in (False, True):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if neighbour else None
            for name, spin in (("default", None), ("spin 3000", "3000")):
                where = "beside a busy process" if neighbour else "alone"
                found.setdefault(f"{name}, {where}", []).append(seconds(spin))
            if busy:
                busy.kill()
                busy.wait()
    figures = {f"{name}, ms": round(1e3 * statistics.median(times), 1) for name, times in found.items()}
    for name, value in figures.items():
        print(name, value)
    write("threads", figures)


if __name__ == "__main__":
    main()
