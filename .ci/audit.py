"""Look up known vulnerabilities of the locked versions. The answer is in build/audit.json.

Exit codes: 0 none known; 1 some; 75 the service can't be reached, so nothing is known.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

UNREACHABLE = 75  # EX_TEMPFAIL of sysexits.h: try again later


def main(lock: str, out: Path) -> int:
    out.parent.mkdir(exist_ok=True)
    out.unlink(missing_ok=True)
    command = [Path(sys.executable).with_name("pip-audit"), "-r", lock, "--require-hashes", "--disable-pip"]
    done = subprocess.run(
        [*command, "--progress-spinner=off", "--format=json", f"--output={out}"], capture_output=True, text=True
    )
    if not out.exists():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"The vulnerability service can't be reached, so nothing was audited: {last}", file=sys.stderr)
        return UNREACHABLE
    packages = json.loads(out.read_text())["dependencies"]
    unasked = [package["name"] for package in packages if "skip_reason" in package]
    found = [(package, hole) for package in packages for hole in package.get("vulns", ())]
    for package, hole in found:
        fixed = ", ".join(hole["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {hole['id']}, fixed in {fixed}", file=sys.stderr)
    print(f"{len(packages) - len(unasked)} packages looked up, {len(found)} known vulnerabilities", file=sys.stderr)
    if found:
        print("Raise the lower bound in pyproject.toml and run `make lock`.", file=sys.stderr)
        return 1
    if unasked:  # a mirror without the service answers that it knows none of the packages
        print(f"The vulnerability service does not know {len(unasked)} of {len(packages)} packages.", file=sys.stderr)
        return UNREACHABLE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
