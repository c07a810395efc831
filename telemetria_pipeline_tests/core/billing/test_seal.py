"""The chain and the seal of the log of closings: whatever is changed in it is named."""

from datetime import UTC, datetime

import orjson
import pytest

from telemetria_pipeline.contracts.closing import Reopening
from telemetria_pipeline.core.billing.seal import chain_problems, digest_of, parsed, sealed

AT = datetime(2026, 3, 17, 12, tzinfo=UTC)
KEY = "segredo"


def log(*keys: str) -> dict[str, bytes]:
    """Three entries or so, each sealed with its key."""
    found: dict[str, bytes] = {}
    for number, key in enumerate(keys, 1):
        previous = digest_of(found[str(number - 1)]) if found else ""
        entry = Reopening(cycle="2026-02-16", reopened_at=AT, reason=f"{number}", previous=previous)
        found[str(number)] = sealed(entry, key)
    return found


def changed(body: bytes, **said: str) -> bytes:
    return orjson.dumps(orjson.loads(body) | said)


@pytest.mark.parametrize("key", ["", KEY])
def test_a_log_that_nobody_touched_is_sound(key):
    assert chain_problems({}, key) == chain_problems(log(key, key, key), key) == []


@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize("touched", ["1", "2", "3"])
@pytest.mark.parametrize("how", [{"reason": "outro"}, {"seal": ""}, {"cycle": "2026-03-16"}])
def test_an_entry_that_was_changed_is_named(key, touched, how):
    found = log(key, key, key)
    (said,) = chain_problems(found | {touched: changed(found[touched], **how)}, key)
    assert said.startswith(f"{touched} não ")


def test_the_bytes_count_not_only_what_they_say():
    found = log(KEY, KEY)
    (said,) = chain_problems(found | {"1": changed(found["1"])}, KEY)
    assert said.startswith("1 não é o que foi selado")


def test_entries_that_are_gone_are_noticed_and_what_is_none_is_named():
    found = log("", "", "")
    headless = {"1": found["2"], "2": found["3"]}
    assert chain_problems(headless, "") == [
        "1 continua outro registro, que não está mais lá: restaure-o de uma cópia."
    ]
    for none in (b"", b"{", b"[]", b"{}", b"\xff", changed(found["2"], what="outro")):
        assert "2 não é um registro de fechamento" in chain_problems(found | {"2": none}, "")[0]
        assert parsed(none) is None


def test_without_the_key_nobody_forges_the_newest_entry():
    for forger in ("", "outra chave"):
        (said,) = chain_problems(log(forger, forger), KEY)
        assert said.startswith("2 não ") and "TELEMETRIA_SEAL_KEY" in said
    (said,) = chain_problems(log(KEY, KEY), "")
    assert said.startswith("2 foi selado com uma chave") and KEY not in said


def test_the_newest_seal_proves_the_others_whatever_keys_they_have():
    assert chain_problems(log("", "antiga", KEY), KEY) == []
    assert chain_problems(log("", KEY, ""), KEY) != []
    assert chain_problems(log("", "antiga"), None) == []
