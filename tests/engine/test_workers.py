"""Work divided among processes: in order, and over when one of them or their parent is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from select import select

import pytest

from runworthy.engine.workers import in_workers
from runworthy.model.errors import RunworthyError, UsageError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")

TASKS = range(200)
SECONDS = 10


def nothing() -> None:
    """What a process has to do at its end."""


def test_results_come_in_the_order_of_the_tasks_and_every_process_ends_in_good_order(tmp_path: Path) -> None:
    def finish() -> None:
        (tmp_path / str(os.getpid())).touch()

    results = list(in_workers(lambda task: (task, os.getpid()), TASKS, 3, finish))
    assert [task for task, _ in results] == list(TASKS)
    processes = {str(process) for _, process in results}
    assert str(os.getpid()) not in processes
    assert processes <= {path.name for path in tmp_path.iterdir()}


def test_an_exception_comes_out_as_it_is() -> None:
    def work(task: int) -> int:
        if task == 100:
            raise UsageError("no such thing", hint="another", option="--option")
        return task

    with pytest.raises(UsageError, match="no such thing") as caught:
        list(in_workers(work, TASKS, 2, nothing))
    assert (caught.value.hint, caught.value.option) == ("another", "--option")


def test_a_process_that_is_killed_ends_the_work_with_an_error() -> None:
    def work(task: int) -> int:
        if task == 100:
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    with pytest.raises(RunworthyError, match="killed"):
        list(in_workers(work, TASKS, 2, nothing))


def test_processes_end_with_their_parent() -> None:
    ended, held = os.pipe()
    parent = os.fork()
    if parent == 0:
        results = in_workers(lambda task: task, TASKS, 2, nothing)
        next(results)
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(held)
    os.waitpid(parent, 0)
    try:
        assert select([ended], [], [], SECONDS)[0], "a process goes on without its parent"
        assert os.read(ended, 1) == b""
    finally:
        os.close(ended)
