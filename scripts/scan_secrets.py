"""`make check`: no secret in a tracked file, by the forms of known keys and names that hold random texts."""

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_KNOWN = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60,}",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20}",
    "a Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w{20,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{20,}",
    "a token of PyPI or npm": r"\bpypi-AgEI[A-Za-z0-9_-]{40,}|\bnpm_[A-Za-z0-9]{36}\b",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{15,}",
    "a password in an address": r"\b[a-z][a-z0-9+.-]*://[^\s/:@{}$<>\"']+:(?!secret\b|password\b)[^\s/@{}$<>\"'*]{6,}@",
}
_NAMED = re.compile(
    r"(?i)\b\w*(?:token|secret|passw(?:or)?d|senha|api_?key|access_?key|private_?key)\w*[\"']?\s*[:=]\s*"
    r"[\"']?([A-Za-z0-9+/=_.~-]{16,})"
)
MADE_UP = "not a secret"  # a line that says so is made up for a test
_RANDOM = 3.8  # bits a character; words stay below it
_LARGEST = 2_000_000  # bytes


def secrets_in(text: str) -> Iterator[tuple[int, str]]:
    """Line number and what the secret looks like; never the secret."""
    for number, line in enumerate(text.splitlines(), 1):
        if MADE_UP in line:
            continue
        for what, pattern in _KNOWN.items():
            if re.search(pattern, line):
                yield number, what
        for found in _NAMED.finditer(line):
            if _is_random(found[1]):
                yield number, "a random text under the name of a secret"


def _is_random(said: str) -> bool:
    counts = Counter(said)
    bits = -sum(n / len(said) * math.log2(n / len(said)) for n in counts.values())
    return bits > _RANDOM and any(c.isdigit() for c in said) and any(c.isalpha() for c in said)


def main() -> int:
    """Look into every tracked file; 1 where something is found."""
    git = ["git", "ls-files", "-z"]
    listed = subprocess.run(git, capture_output=True, text=True, check=True).stdout  # noqa: S603
    found = [
        f"{path}:{number}: {what}"
        for path in map(Path, filter(None, listed.split("\0")))
        if path.is_file() and path.stat().st_size < _LARGEST
        for number, what in secrets_in(path.read_bytes().decode("utf-8", "ignore"))
    ]
    print("\n".join(found) or "Secrets: none in the tracked files.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
