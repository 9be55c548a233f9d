"""The server as a process and as a thread: how it starts, refuses to, and stops."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
import uvicorn

from protores.errors import StationError
from protores.station.app import App
from protores.station.server import Server, read_token, serve
from protores.station.store import Store


@contextmanager
def running(station):
    """A station behind a real socket: its server, its port, the thread; stopped at the end."""
    app, started = App(station), Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
        server = Server(config, app.gate, started.set)
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            assert started.wait(30)
            yield server, listening.getsockname()[1], thread
        finally:
            server.handle_exit(signal.SIGTERM, None)
            thread.join(30)
            assert not thread.is_alive()


def ask(port: int, method: str, path: str, body=None, headers=None) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_what_was_accepted_is_finished_and_what_comes_later_is_refused(make_station, hold, tmp_path, png):
    station = make_station()
    engine = hold(station)
    with running(station) as (server, port, thread), ThreadPoolExecutor(4) as pool:
        accepted = [pool.submit(ask, port, "POST", "/v1/inspect", png) for _ in range(4)]
        assert engine.called.wait(30)
        while station.queue.taken < 4:
            pass
        server.handle_exit(signal.SIGTERM, None)
        status, told = ask(port, "POST", "/v1/inspect", png)
        assert (status, told.keys()) == (503, {"error"})
        status, told = ask(port, "GET", "/health")
        assert (status, told["status"], told["queue"]) == (503, "stopping", 4)
        assert thread.is_alive()
        engine.released.set()
        answers = [one.result() for one in accepted]
        thread.join(30)
        assert not thread.is_alive()
    assert {status for status, _ in answers} == {200}
    station.close()
    with Store(tmp_path / "store", serving=False) as store:
        assert {one.id for one in store.page(10)[0]} == {told["verdicts"][0]["id"] for _, told in answers}


def test_a_body_without_a_length_is_stopped_at_the_limit(make_station, png):
    """Only so much is held, and the client, which sends on for a while, gets to read the answer."""
    station = make_station(upload_mb=1)
    held, hold = [], station.queue.hold

    def watched(size: int) -> None:
        hold(size)
        held.append(station.queue.held)

    station.queue.hold = watched
    kind = {"Content-Type": "application/octet-stream"}
    with running(station) as (_, port, _):
        endless = (bytes(20_000) for _ in range(1000))
        status, told = ask(port, "POST", "/v1/inspect", endless, kind)
        assert (status, told.keys()) == (413, {"error"})
        status, told = ask(port, "POST", "/v1/feedback", (bytes(20_000) for _ in range(1000)))
        assert (status, told.keys()) == (413, {"error"})
        assert 0 < max(held) <= 1_000_000
        assert station.queue.held == 0
        assert ask(port, "POST", "/v1/inspect", iter([png[:999], png[999:]]), kind)[0] == 200


def test_who_hangs_up_or_trickles_holds_no_place(make_station, until, monkeypatch, png):
    monkeypatch.setattr("protores.station.intake.RECEIVE_SECONDS", 0.2)
    monkeypatch.setattr("protores.station.gate.LINGER_SECONDS", 0.1)
    station = make_station()
    head = b"POST /v1/inspect HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\nonly this"
    with running(station) as (_, port, _):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(head)
            until(lambda: station.queue.taken == 1)
        until(lambda: station.queue.taken == 0)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(head)
            assert b" 408 " in client.recv(999)
        until(lambda: (station.queue.taken, station.queue.held) == (0, 0))
        assert ask(port, "POST", "/v1/inspect", png)[0] == 200


@contextmanager
def started(*words: str):
    """`protores WORDS` as a process, and the line that it prints first."""
    command = [sys.executable, "-m", "protores.cli", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGTERM")
@pytest.mark.parametrize("sent", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_the_command_serves_until_a_signal_and_remembers(thresholded, tmp_path, png, sent):
    store, out = tmp_path / "store", tmp_path / "feedback"
    words = ("serve", str(thresholded), "--port", "0", "--store", str(store), "--threads", "1")
    with started(*words) as (process, line):
        address = re.match(rf"protores: inspecting at http://127\.0\.0\.1:(\d+), store {re.escape(str(store))}; ", line)
        assert address, line + process.stderr.read()
        port = int(address[1])
        status, told = ask(port, "POST", "/v1/inspect", png)
        assert status == 200
        (record,) = told["verdicts"]
        broken = b"--x\r\nContent-[Disposition: form-data\r\n\r\n"
        assert ask(port, "POST", "/v1/inspect", broken, {"Content-Type": "multipart/form-data; boundary=x"})[0] == 400
        assert ask(port, "POST", "/v1/feedback", json.dumps({"id": record["id"], "label": "good"}))[0] == 200
        process.send_signal(getattr(signal, sent))
        assert process.wait(30) == (-signal.SIGKILL if sent == "SIGKILL" else 0)
        assert process.stderr.read() == ""
    done = subprocess.run(
        [sys.executable, "-m", "protores.cli", "feedback", str(store), "--out", str(out)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"feedback  {out}: 1 good and 0 bad images, 0 with a mask\n"
    assert (out / "good" / f"{record['id']}.png").read_bytes() == png


def test_beyond_this_machine_it_needs_a_token(thresholded, tmp_path):
    for host in ("0.0.0.0", "::", "station.example"):
        with pytest.raises(StationError, match="--token-file$"):
            serve(thresholded, tmp_path / "store", host)
    assert not (tmp_path / "store").exists()
    assert read_token(None, "127.0.0.1") is None


@pytest.mark.parametrize(
    "content", [b"", b"short\n", b"with blanks in it, though long", b"two-lines-of-it\nmore-than-one", b"\xff" * 20]
)
def test_tokens_that_are_none(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    for host in ("0.0.0.0", "127.0.0.1"):
        with pytest.raises(StationError, match="token"):
            read_token(file, host)


def test_a_token_is_a_files_line(tmp_path: Path):
    (tmp_path / "token").write_text("correct-horse-battery\n")
    assert read_token(tmp_path / "token", "0.0.0.0") == "correct-horse-battery"
    with pytest.raises(StationError, match="check the path"):
        read_token(tmp_path / "none", "0.0.0.0")


def test_a_port_that_is_taken_is_said_so(thresholded, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StationError, match="--port$"):
        serve(thresholded, tmp_path / "store", port=taken.getsockname()[1])


def test_it_needs_nothing_that_training_needs():
    heavy = "{'torch', 'lightning', 'timm', 'sklearn', 'scipy'}"
    code = f"import protores.station.server, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_command_says_in_a_line_why_it_does_not_start(thresholded, tmp_path):
    start = f"import sys; sys.argv = ['protores', 'serve', {str(thresholded)!r}, '--store', {str(tmp_path / 's')!r}"
    run = "import protores.cli; protores.cli.main()"
    for code, cure in (
        (f"{start}, '--host', '0.0.0.0']; {run}", "--token-file"),
        (f"{start}]; sys.modules['uvicorn'] = None; {run}", "pip install 'protores[station]'"),
        (f"{start}, '--runtime', 'abacus']; {run}", "choose openvino or onnxruntime"),
    ):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert done.stderr.endswith(cure + "\n")
