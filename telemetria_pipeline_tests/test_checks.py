"""What `make check` asks beyond lint and types: secrets in files, vulnerabilities of what is locked."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reported(*dependencies: dict) -> str:
    return json.dumps({"dependencies": [{"name": "a", "version": "1", **said} for said in dependencies]})


@pytest.mark.parametrize(
    ("stdout", "stderr", "passes", "word"),
    [
        (reported({"vulns": []}, {"skip_reason": "private"}), "", True, "none known in 1 of 2"),
        (reported({"vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}), "", False, "a 1: CVE-1, mended in 2"),
        (reported({"skip_reason": "not found on PyPI"}), "", True, "this index has no data"),
        ("", "requests.exceptions.ConnectionError: Max retries exceeded", True, "cannot be reached"),
        ("", "timed out", True, "cannot be reached"),
        ("", "error: unrecognized arguments: --formt", False, "unrecognized"),
    ],
)
def test_vulnerable_fails_and_unreachable_is_said(stdout, stderr, passes, word):
    found, said = script("audit_dependencies").verdict(stdout, stderr)
    assert found == passes
    assert word in "\n".join(said)


@pytest.mark.parametrize(
    "line",
    [
        "key = 'AKIA" + "ABCDEFGHIJKLMNOP'",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "API_TOKEN=" + "b8Zt41kQx9LmW2vRf7Ys",
        "url: postgresql://dagster:" + "Xk29fjq0@db/dagster",
    ],
)
def test_a_secret_in_a_file_is_found_and_never_repeated(line):
    ((number, what),) = script("scan_secrets").secrets_in(f"first\n{line}\n")
    assert number == 2
    assert line not in what


@pytest.mark.parametrize(
    "line",
    [
        "token: SecretStr | None = Field(None)",
        "secrets: {token: GAMA_TOKEN_OF_2026}",
        "https://a.example/b:c@d",
    ],
)
def test_names_and_placeholders_are_no_secrets(line):
    assert not list(script("scan_secrets").secrets_in(line))
