"""A run whose process is killed, its code server with it: noticed, and its pool free again."""

import json
import multiprocessing
import subprocess
import sys
import time

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, EngineEventData
from dagster._core.launcher import WorkerStatus

from telemetria_pipeline.workers.local import LocalLauncher

HERE = {"host": "localhost", "socket": "/tmp/some.sock"}


@pytest.fixture
def instance():
    launcher = {"module": "telemetria_pipeline.workers.local", "class": "LocalLauncher"}
    with dg.instance_for_test(overrides={"run_launcher": launcher}) as instance:
        assert isinstance(instance.run_launcher, LocalLauncher)
        assert instance.run_launcher.supports_check_run_worker_health
        yield instance


@pytest.fixture
def process():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield child
    child.kill()
    child.wait()


def status(
    instance: dg.DagsterInstance, pid: int | None, server: dict = HERE, age_s: float = 0
) -> WorkerStatus:
    tags = {".dagster/grpc_info": json.dumps(server)}
    run = instance.add_run(dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED, tags=tags))
    if pid:
        event = DagsterEvent(
            DagsterEventType.ENGINE_EVENT.value, "job", message=f"Started process for run (pid: {pid}).",
            event_specific_data=EngineEventData.in_process(pid),
        )  # fmt: skip
        instance.report_dagster_event(event, run.run_id, timestamp=time.time() - age_s)
    return instance.run_launcher.check_run_worker_health(run).status


def test_a_run_lives_as_long_as_its_process(instance, process):
    assert status(instance, process.pid) == WorkerStatus.RUNNING
    process.kill()  # not waited for: a zombie, as beside a code server that hangs
    time.sleep(0.2)
    assert status(instance, process.pid) == WorkerStatus.FAILED
    process.wait()
    assert status(instance, process.pid) == WorkerStatus.FAILED


def test_another_process_of_the_same_number_is_another_process(instance, process):
    assert status(instance, process.pid, age_s=3600) == WorkerStatus.FAILED


def test_a_clock_that_was_set_forward_kills_no_run(instance):
    """The kernel tells when a process began by the clock as it is now."""
    run = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,), daemon=True)
    run.start()
    assert status(instance, run.pid, age_s=3600) == WorkerStatus.RUNNING
    run.kill()
    run.join()
    assert status(instance, run.pid, age_s=3600) == WorkerStatus.FAILED


def test_of_another_machine_nothing_is_known_nor_of_a_run_that_has_not_said_its_process(instance):
    assert status(instance, None) == WorkerStatus.RUNNING
    assert status(instance, 2**22 - 1, server={"host": "code.internal", "port": 4000}) == WorkerStatus.RUNNING
