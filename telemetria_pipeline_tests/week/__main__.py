"""A simulated week with the real daemon, and no hand laid on it: in the end the lake is the truth.

    python -m telemetria_pipeline_tests.week [--hours 168] [--halt 72 48] [--vehicles 12] [--seed 7]

Two carriers with every fault of the simulator, trips that come late and are amended; each is down for some
hours, and boletins land at all hours. Dagster's daemon runs beside a clock that jumps from hour to hour
(`Clock`, compiled with gcc), and looks at it every second. Now and then a run's process is killed. At hour 72
everything is stopped, and started again 48 hours later, with a clock that goes as it does: how long it takes
until nothing is owed, and how fast the carriers were asked, is printed. Ends with 1 where an hour, a boletim
or a day is not right.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from telemetria_pipeline_tests.clock import NoCompiler
from telemetria_pipeline_tests.week.world import DAY, HOUR, MINUTE, PACE, World, differences, told_the_token

KILLS = 0.05  # of the hours have a run that is killed


def play(world: World, options: argparse.Namespace) -> None:
    """The week, hour by hour."""
    halt, length = options.halt
    arrivals: dict[int, list[tuple[date, str]]] = {}  # each day's boletins, at any hour of the next
    for day in range(options.hours // 24):
        for source in world.sources:
            hour = min((day + 1) * 24 + world.dice.randrange(24), options.hours)
            arrivals.setdefault(hour, []).append((world.begin.date() + day * DAY, source))
    world.set(world.begin + timedelta(minutes=MINUTE))
    world.start()
    time.sleep(20)  # a schedule's first tick is the one after its daemon has started
    for hour in range(1, options.hours + 1):
        began, stopped = time.monotonic(), halt <= hour < halt + length
        if hour == halt:
            world.stop()
        world.set(world.begin + hour * HOUR + timedelta(minutes=MINUTE))
        for day, source in arrivals.get(hour, ()):
            world.drop(day, source)
        if stopped:
            continue
        if hour == halt + length:
            cold_start(world, length)
            continue
        if world.dice.random() < KILLS:
            world.wait(lambda: bool(world.busy()))
            world.kill_a_run()
        world.wait(lambda: world.asked(world.now - timedelta(minutes=MINUTE)) and not world.busy())
        if hour % 12 == 0:
            print(f"hour {hour}: {world.owed()} hours owed, {time.monotonic() - began:.1f} s", flush=True)


def cold_start(world: World, hours: int) -> None:
    """Start everything, and say how long it takes until nothing of so many hours is owed."""
    began, asked = time.monotonic(), {name: len(api.requests) for name, api in world.apis.items()}
    counted: list[tuple[float, dict[str, int]]] = []
    steps: dict[str, float] = {}

    def settled() -> bool:
        now = time.monotonic() - began
        counted.append((now, {name: len(api.requests) - asked[name] for name, api in world.apis.items()}))
        for step, done in (
            ("the first request", any(counted[-1][1].values())),
            ("no hour owed", not world.owed()),
            ("no day to audit", "no hour owed" in steps and not world.busy() and not world.stale()),
        ):
            if done:
                steps.setdefault(step, now)
        return "no day to audit" in steps

    world.set(world.now, glance_ms=0)
    world.start()
    world.wait(settled, patience_s=1800)
    print(f"cold start over {hours} hours, seconds until: "
          + ", ".join(f"{step} {at:.0f}" for step, at in steps.items()))  # fmt: skip
    for name in world.apis:
        fastest = max(  # so many requests have one pause less between them
            (later[name] - first[name] - 1) / (then - at)
            for at, first in counted for then, later in counted if 4 <= then - at <= 6
        )  # fmt: skip
        print(f"  {name}: {counted[-1][1][name]} requests, at most {fastest:.1f} a second (it allows {PACE})",
              flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=168)
    parser.add_argument("--halt", type=int, nargs=2, default=(72, 48), metavar=("HOUR", "HOURS"))
    parser.add_argument("--vehicles", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    folder, began = Path(tempfile.mkdtemp(prefix="telemetria-week-")), time.monotonic()
    try:
        world = World(folder, options.seed, options.vehicles)
    except NoCompiler as error:
        sys.exit(str(error))
    try:
        play(world, options)
        until = world.now - timedelta(minutes=MINUTE)
        for _ in range(60):  # what comes late or waits has its time, two nights and a day, and nobody's hand
            world.set(world.now + HOUR)
            time.sleep(8)
            world.wait(lambda: not world.busy())
            if not (problems := differences(world, until)):
                break
    finally:
        world.stop()
        for api in world.apis.values():
            api.close()
        world.instance.dispose()
    problems += told_the_token(folder)
    for problem in problems[:30]:
        print(problem)
    print(f"{options.hours} hours, {len(world.sent)} boletins: {len(problems)} differences, "
          f"{time.monotonic() - began:.0f} s; {folder}")  # fmt: skip
    if not problems:
        shutil.rmtree(folder)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
