"""`make check`: the locked versions against the known vulnerabilities (pip-audit).

Vulnerable fails. Where the data cannot be reached (no network, an index that has none) it is said, and
passes: a check that fails for the weather is switched off by somebody soon.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

# In an environment of its own: what it needs is nothing that we ship or lock.
COMMAND = [
    *("tool", "run", "pip-audit@2.10.1", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off"),
]
_NOT_REACHED = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|timed out|Max retries|NameResolution|SSLError|ServiceError"
    r"|HTTPError|Failed to fetch|Failed to download|error sending request|dns error|not found in the package",
    re.IGNORECASE,
)
_LONGEST_S = 300


def verdict(stdout: str, stderr: str) -> tuple[bool, list[str]]:
    """Whether the check passes, and what to say, from what pip-audit printed."""
    try:
        found = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        if _NOT_REACHED.search(stderr):
            return True, ["Vulnerabilities: not looked up, the data cannot be reached from here."]
        return False, ["pip-audit failed:", stderr[-2_000:].strip() or stdout[-2_000:].strip()]
    told = [
        f"{d['name']} {d['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version yet'}"
        for d in found
        for v in d.get("vulns", [])
    ]
    if told:
        return False, [f"Vulnerabilities: {len(told)} in the locked versions", *told]
    asked = sum("skip_reason" not in d for d in found)
    if not asked:
        return True, ["Vulnerabilities: not looked up, this index has no data on them."]
    return True, [f"Vulnerabilities: none known in {asked} of {len(found)} locked versions."]


def main() -> int:
    """Ask, and say."""
    uv = Path(sys.executable).with_name("uv")
    try:
        done = subprocess.run([uv, *COMMAND], capture_output=True, text=True, timeout=_LONGEST_S)  # noqa: S603
        passes, said = verdict(done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        passes, said = verdict("", "timed out")
    print("\n".join(said))
    return 0 if passes else 1


if __name__ == "__main__":
    sys.exit(main())
