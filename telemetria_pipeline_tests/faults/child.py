"""A run of its own process: `python -m telemetria_pipeline_tests.faults.child ADDRESS URL FILE_BYTES`."""

import json
import random
import resource
import signal
import sys
from types import SimpleNamespace

from telemetria_pipeline_tests.faults.world import World


def main() -> None:
    """Say that it is there, wait for a word, run, and say what failed."""
    address, url, file_bytes = sys.argv[1:]
    if int(file_bytes):  # no file grows beyond it: to a program, a disk that is full
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_bytes), int(file_bytes)))
    world = World(address, SimpleNamespace(url=url), random.Random(0))
    print("ready", flush=True)
    sys.stdin.readline()
    world.run()
    print(json.dumps(world.said))


if __name__ == "__main__":
    main()
