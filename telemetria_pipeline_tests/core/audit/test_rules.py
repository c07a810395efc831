"""The tolerances as people read them."""

from decimal import Decimal

import pytest

from telemetria_pipeline.core.audit.rules import AuditRules


@pytest.mark.parametrize(
    ("share", "least", "said"),
    [
        ("0.10", "1", "tolerância de 10 % e 1 km"),
        ("0.085", "1.50", "tolerância de 8,5 % e 1,5 km"),
        ("1", "10", "tolerância de 100 % e 10 km"),
        ("0", "0.0", "tolerância de 0 % e 0 km"),
    ],
)
def test_tolerances_are_said_exactly_as_they_are(share, least, said):
    assert AuditRules(km_share=Decimal(share), km_minimum=Decimal(least)).in_words == said
