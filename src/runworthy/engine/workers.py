"""Work divided among processes of this machine: each begins with all that its parent knows, and hands back results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from runworthy.model.errors import RunworthyError

__all__ = ["in_workers", "workers_for"]

_WORTH_A_WORKER = 48
"""Subjects that take about as long as it takes to start a process and to carry its results back."""
_SMALLEST_CHUNK = 24
_CHUNKS_EACH = 4
_AT_MOST = 32
_LOOK_EVERY = 0.5

T = TypeVar("T")

_work: Callable[[int], object] | None = None


def workers_for(jobs: int, subjects: int) -> int:
    """Return how many processes to use: ``jobs``, or, when that is 0, as many as this machine and the work allow.

    1 stands for none but this one; so it is where processes cannot be forked.
    """
    if not hasattr(os, "fork"):
        return 1
    wanted = min(jobs or _processors(), _AT_MOST)
    return max(1, min(wanted, subjects // (1 if jobs else _WORTH_A_WORKER)))


def _processors() -> int:
    """Return how many processors this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def in_workers(work: Callable[[int], T], tasks: Sequence[int], workers: int, finish: Callable[[], None]) -> Iterator[T]:
    """Yield ``work(task)`` for each task, in order; each process ends with ``finish()``. Raises what they raise.

    Forked processes share what has been read so far, and what they read later is theirs: read first what all need.
    Raises RunworthyError when one of them is killed: nobody else would finish its work.
    """
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor  # costs as much as a dozen files
    from multiprocessing import get_context

    # Neighbours load the same libraries: few large stretches are less work, and still even each other out.
    size = max(_SMALLEST_CHUNK, -(-len(tasks) // (workers * _CHUNKS_EACH)))
    chunks = [tasks[at : at + size] for at in range(0, len(tasks), size)]
    pool = ProcessPoolExecutor(workers, get_context("fork"), _begin, (work, finish, os.getpid()))
    try:
        for results in pool.map(_chunk, chunks):
            yield from results  # type: ignore[misc]  # what a chunk holds is what the work returned
    except BrokenProcessPool:
        raise RunworthyError(
            "a process that judged files was killed, as happens where memory is short: --jobs 1 uses less of it"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(work: Callable[[int], object], finish: Callable[[], None], parent: int) -> None:
    """Take the work over in a new process: it came with the memory and never through a pipe."""
    import gc
    import signal
    import threading
    from multiprocessing.util import Finalize

    global _work  # noqa: PLW0603 - the one thing that a worker process is for
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the process that was started says what there is to say
    gc.disable()  # what a check makes has no cycles, and looking for them copies shared pages
    _work = work
    Finalize(None, finish, exitpriority=1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process after its parent: nobody would ever tell it to, were that killed."""
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


def _chunk(tasks: Sequence[int]) -> list[object]:
    if _work is None:
        raise RuntimeError("a worker was started without work")
    return [_work(task) for task in tasks]
