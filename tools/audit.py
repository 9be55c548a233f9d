"""Known vulnerabilities of what constraints.txt pins, by pip-audit: an optional step of CI.

    python tools/audit.py        # in an environment with pip-audit (make audit)

Exit code 1 where there are some. Without a network, or without pip-audit, it says so and ends with 0.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
COMMAND = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off", "--no-deps", "--disable-pip"]


def told(output: str) -> tuple[list[str], int, int]:
    """From pip-audit's JSON: the vulnerabilities, a line each, how many packages were audited, and how many not.

    Raises ValueError where it is none.
    """
    packages = json.loads(output)["dependencies"]
    audited = [package for package in packages if "skip_reason" not in package]
    found = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for package in audited
        for flaw in package["vulns"]
    ]
    return found, len(audited), len(packages) - len(audited)


def main() -> None:
    if not find_spec("pip_audit"):
        print("no audit: pip-audit is not installed (make audit)")
        return
    done = subprocess.run([*COMMAND, "-r", CONSTRAINTS], capture_output=True, text=True)
    try:
        found, audited, skipped = told(done.stdout)
    except ValueError:
        audited, reason = 0, (done.stderr.strip().splitlines() or ["no word"])[-1]
    else:
        reason = f"it knows none of {skipped} packages"
    if not audited:
        print(f"no audit: the database of vulnerabilities cannot be asked ({reason})")
        return
    print("\n".join([*found, f"{len(found)} known vulnerabilities in {audited} packages, {skipped} are not known"]))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
