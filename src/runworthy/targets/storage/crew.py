"""Work on files divided among processes, where there are several processors and much to do.

What a scan does is short system calls by the hundred thousand: threads of one interpreter wait for each other after
each of them. A forked process knows what its parent knew, is told its tasks through a pipe, and hands back plain data.
It ends when its parent does: there is nobody to read what it writes. Where processes cannot be forked safely (other
threads are running, another system), the tasks are done here, one after the other.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from runworthy.model.errors import RunworthyError

__all__ = ["at_once", "collecting_later", "in_crew"]

_AT_MOST: Final = 8
_HEADER: Final = 8
_READ: Final = 1 << 20


def at_once(threads: int = 0) -> int:
    """Return how many processes to use: ``threads``, or, where that is 0, twice as many as there are processors.

    Half of them may wait for a disk. 1 stands for none but this one.
    """
    import threading

    if not sys.platform.startswith("linux") or threading.active_count() > 1:
        return 1
    return threads or min(_AT_MOST, 2 * len(os.sched_getaffinity(0)))


def in_crew(work: Callable[[Any], Any], tasks: Iterable[Any], workers: int) -> Iterator[Any]:
    """Yield ``work(task)`` for each task as it comes. Tasks and results are what :mod:`marshal` takes.

    ``tasks`` may be a list to which tasks are added while results are looked at. Raises RunworthyError where a process
    is killed, and what ``work`` raises.
    """
    pending = deque(tasks) if not isinstance(tasks, deque) else tasks
    if workers < 2:
        while pending:
            yield work(pending.popleft())
        return
    crew = _Crew(work, workers)
    try:
        yield from crew.results(pending)
    finally:
        crew.end()


@contextmanager
def collecting_later() -> Iterator[None]:
    """Look for no cycles meanwhile: records by the hundred thousand have none, and looking takes as long as making.

    What was made counts as old after that, so that it is not all looked at at once (``gc.freeze`` passes it on).
    """
    import gc

    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():  # what somebody else has frozen stays so
                gc.freeze()
                gc.unfreeze()
            gc.enable()


class _Crew:
    """Processes, each with a pipe for tasks and one for results."""

    def __init__(self, work: Callable[[Any], Any], workers: int) -> None:
        self._work = work
        self._tasks: dict[int, int] = {}
        self._children: list[int] = []
        self._idle: list[int] = []
        for _ in range(workers):
            self._start()

    def _start(self) -> None:
        task_read, task_write = os.pipe()
        result_read, result_write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                for descriptor in (task_write, result_read, *self._tasks, *self._tasks.values()):
                    os.close(descriptor)
                self._serve(task_read, result_write)
            finally:
                os._exit(1)
        os.close(task_read)
        os.close(result_write)
        self._children.append(child)
        self._tasks[result_read] = task_write
        self._idle.append(result_read)

    def _serve(self, tasks: int, results: int) -> None:
        """Do tasks until there are no more, in a process of its own."""
        import gc
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends, and so does this
        gc.disable()  # what is made here has no cycles, and looking for them copies shared pages
        while (message := _receive(tasks)) is not None:
            try:
                answer = True, self._work(message)
            except MemoryError:
                answer = False, ""
            except BaseException as error:  # noqa: BLE001 - told to the parent, who raises it
                answer = False, f"{type(error).__name__}: {error}"
            _send(results, answer)
        os._exit(0)

    def results(self, pending: deque[Any]) -> Iterator[Any]:
        """Hand out tasks, and yield results in the order in which they come."""
        import select

        poll = select.poll()
        for descriptor in self._tasks:
            poll.register(descriptor, select.POLLIN)
        busy = 0
        while pending or busy:
            while pending and self._idle:
                with suppress(BrokenPipeError):  # it was killed, and that is seen below
                    _send(self._tasks[self._idle.pop()], pending.popleft())
                busy += 1
            for descriptor, _ in poll.poll():
                answer = _receive(descriptor)
                if answer is None:
                    raise RunworthyError("a process that looked at files was killed, as happens where memory is short")
                self._idle.append(descriptor)
                busy -= 1
                if not answer[0]:
                    raise RuntimeError(answer[1]) if answer[1] else MemoryError
                yield answer[1]

    def end(self) -> None:
        """End the processes, those too that are at work still."""
        import signal

        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for results, tasks in self._tasks.items():
            os.close(tasks)
            os.close(results)
        for child in self._children:
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def _send(descriptor: int, message: Any) -> None:  # noqa: ANN401 - what marshal takes
    data = marshal.dumps(message)
    data = len(data).to_bytes(_HEADER, "little") + data
    with memoryview(data) as view:
        at = 0
        while at < len(data):
            at += os.write(descriptor, view[at:])


def _receive(descriptor: int) -> Any:  # noqa: ANN401 - what marshal gives
    """Return the next message, None where there are no more."""
    header = _exactly(descriptor, _HEADER)
    data = _exactly(descriptor, int.from_bytes(header, "little")) if header else b""
    return marshal.loads(data) if data else None  # noqa: S302 - what a process wrote that this one has forked


def _exactly(descriptor: int, count: int) -> bytes:
    """Return ``count`` bytes, none where the other end is closed before."""
    data = os.read(descriptor, min(count, _READ))
    if len(data) == count:
        return data
    parts = [data]
    left = count - len(data)
    while left and data:
        data = os.read(descriptor, min(left, _READ))
        parts.append(data)
        left -= len(data)
    return b"".join(parts) if not left else b""
