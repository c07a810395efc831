"""The processes that runs are, here and on other machines: how they start, and how a dead one is found."""
