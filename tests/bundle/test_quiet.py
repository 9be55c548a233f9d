"""No network call unless asked: neither tool gets at its telemetry."""

import subprocess
import sys

CODE = """
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("a network call")
socket.socket.connect = socket.getaddrinfo = refuse
from protores.bundle.quiet import import_quietly
import_quietly({name!r})
import_quietly("openvino").convert_model
assert sys.modules["openvino_telemetry"] is None
stubs = [m for m in sys.modules if m.endswith("telemetry_stub")]
assert stubs, stubs
"""


def test_openvino_uses_its_stub():
    done = subprocess.run([sys.executable, "-c", CODE.format(name="openvino")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nncf_uses_its_stub():
    code = CODE.format(name="nncf")
    code += "from nncf.telemetry import wrapper as w; assert not isinstance(w.telemetry, w.NNCFTelemetry)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
