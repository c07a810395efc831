"""Processes that begin in a moment: forked from one that has imported the project already."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["telemetria_pipeline_tests.defs.test_file_intake"])


def begun(target: Callable[..., None], *args: Any) -> tuple[BaseProcess, Connection]:
    """`target(connection, *args)` in a process of its own, with this one's environment, once it said so.

    Returns the process and its connection; `target` begins by sending anything through its own end.
    """
    ours, theirs = _FORKING.Pipe()
    process = _FORKING.Process(target=_run, args=(target, theirs, args, dict(os.environ)))
    process.start()
    theirs.close()
    ours.recv()
    return process, ours


def _run(target: Callable[..., None], said: Connection, args: tuple, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    target(said, *args)
