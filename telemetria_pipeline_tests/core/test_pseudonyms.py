"""Pseudonyms: keyed, long enough, one for each person."""

import re

from telemetria_pipeline.core.pseudonyms import is_pseudonym, pseudonym


def test_a_pseudonym_hangs_on_the_key_and_shows_64_bits():
    one = pseudonym("name", "JOSÉ DA SILVA", b"key")
    assert re.fullmatch("M-[0-9A-F]{16}", one) and is_pseudonym(one)
    assert one == pseudonym("name", " jose  da silva", b"key")
    assert one != pseudonym("name", "JOSÉ DA SILVA", b"another key")


def test_an_id_is_no_name_and_what_is_hidden_stays_as_it_is():
    assert pseudonym("id", "17", b"key") != pseudonym("name", "17", b"key")
    hidden = pseudonym("id", "17", b"key")
    assert pseudonym("name", hidden, b"another key") == hidden
