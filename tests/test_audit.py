"""What the audit says, and that it never says that all is well where nothing was asked."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

SAFE = {"name": "a", "version": "1", "vulns": []}
FLAWED = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1", "3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.fixture
def audit() -> ModuleType:
    """tools/audit.py."""
    spec = importlib.util.spec_from_file_location("audit", Path(__file__).parents[1] / "tools" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def says(audit: ModuleType, monkeypatch, capsys):
    """says(output): what is printed for this output of pip-audit, and the exit code."""

    def run(output: str, error: str = "") -> tuple[str, int]:
        monkeypatch.setattr(audit, "find_spec", lambda name: name)
        done = SimpleNamespace(stdout=output, stderr=error)
        monkeypatch.setattr(audit.subprocess, "run", lambda *args, **options: done)
        try:
            audit.main()
            code = 0
        except SystemExit as end:
            code = int(end.code)
        return capsys.readouterr().out, code

    return run


def test_a_vulnerability_is_named_and_fails(says):
    out, code = says(json.dumps({"dependencies": [SAFE, FLAWED, UNKNOWN]}))
    assert "b 2: PYSEC-1, mended in 2.1, 3" in out
    assert "1 known vulnerabilities in 2 packages, 1 are not known" in out
    assert code == 1


def test_none_is_said_of_those_that_were_asked_for(says):
    assert says(json.dumps({"dependencies": [SAFE]})) == ("0 known vulnerabilities in 1 packages, 0 are not known\n", 0)


@pytest.mark.parametrize(
    ("output", "error", "why"),
    [
        ("", "ConnectionError: no route to host", "no route to host"),
        ("", "", "no word"),
        (json.dumps({"dependencies": [UNKNOWN]}), "", "it knows none of 1 packages"),
    ],
)
def test_without_a_network_it_says_so(says, output: str, error: str, why: str):
    out, code = says(output, error)
    assert out.startswith("no audit: ")
    assert why in out
    assert code == 0


def test_without_pip_audit_it_says_so(audit: ModuleType, monkeypatch, capsys):
    monkeypatch.setattr(audit, "find_spec", lambda name: None)
    audit.main()
    assert "pip-audit is not installed" in capsys.readouterr().out


def test_the_command_is_pip_audits(audit: ModuleType):
    assert audit.COMMAND[:3] == [sys.executable, "-m", "pip_audit"]
    assert audit.CONSTRAINTS.exists()
