"""Boletins: from a file as a depot typed it to rows that can be trusted, and the answer to its sender."""
