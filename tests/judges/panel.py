"""The front door: one judge, over one root, for as many files as wanted."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from . import glibc, musl, qemu
from .answer import Answer
from .process import Jail, Outcome
from .qemu import Emulator
from .roots import Root


class Judge:
    """The loader of `root`, ready to be asked; close it, or use it in a `with`.

    `layers` are directories laid over the root, the first on top. `binds` maps
    paths inside to files and directories of this machine. Neither is written
    to. With `machine`, the architecture that qemu is to emulate is named even
    though this machine could run the programs itself.
    """

    def __init__(
        self,
        root: Root,
        *,
        layers: Sequence[Path] = (),
        binds: Mapping[str, Path] | None = None,
        proc: bool = True,
        machine: str | None = None,
    ) -> None:
        self.root = root
        emulators = qemu.binds(machine) if machine else qemu.binds_for(root)
        self.jail = Jail(*layers, root.path, binds={**emulators, **(binds or {})}, proc=proc)

    def ask(
        self,
        program: str,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        emulator: Emulator | None = None,
        timeout: float = 20.0,
    ) -> Answer:
        """What the loader says about `program`, a path inside the root."""
        loader: Callable[..., Answer] = glibc.ask if self.root.libc == "glibc" else musl.ask
        return loader(self.jail, self.root, program, env=env, cwd=cwd, emulator=emulator, timeout=timeout)

    def ask_started(
        self,
        program: str,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        uid: int | None = None,
        emulator: Emulator | None = None,
    ) -> Answer:
        """The same of glibc, but the kernel starts `program`, which names its loader.

        $ORIGIN of the program then comes from /proc/self/exe, not from the
        name that ld.so was given, and set-user-id programs are AT_SECURE.
        """
        outcome = self.run([program], env={**(env or {}), **glibc.TRACE}, cwd=cwd, uid=uid, emulator=emulator)
        return glibc.parse(outcome, loader=self.root.loader)

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        uid: int | None = None,
        emulator: Emulator | None = None,
        timeout: float = 20.0,
    ) -> Outcome:
        """Really start a program. Only for programs that the tests made themselves."""
        emulator = emulator or Emulator.for_root(self.root)
        if emulator is None:
            return self.jail.run(argv, env=env, cwd=cwd, uid=uid, timeout=timeout)
        return self.jail.run(emulator.command(argv, env or {}), cwd=cwd, uid=uid, timeout=timeout * 5)

    def searches(
        self, program: str, *, env: Mapping[str, str] | None = None, cwd: str = "/"
    ) -> Mapping[str, tuple[str, ...]]:
        """The paths that ld.so tried for each library, in order. glibc only."""
        return glibc.searches(self.jail, self.root, program, env=env, cwd=cwd)

    def close(self) -> None:
        """End the jail."""
        self.jail.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def ask_many(
    root: Root,
    programs: Iterable[str],
    *,
    binds: Mapping[str, Path] | None = None,
    layers: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    jobs: int = 2,
) -> Iterator[tuple[str, Answer]]:
    """Ask one root about many files, in their order, in `jobs` jails at once."""
    wanted = list(programs)
    shares = [wanted[number::jobs] for number in range(jobs)]

    def answers(share: list[str]) -> list[Answer]:
        if not share:
            return []
        with Judge(root, binds=binds, layers=layers) as judge:
            return [judge.ask(program, env=env) for program in share]

    with ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(answers, shares))
    for number, program in enumerate(wanted):
        yield program, done[number % jobs][number // jobs]


def ask(
    root: Root,
    program: str,
    *,
    binds: Mapping[str, Path] | None = None,
    layers: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    proc: bool = True,
) -> Answer:
    """Ask one root about one file. A `Judge` costs less where there are more."""
    with Judge(root, layers=layers, binds=binds, proc=proc) as judge:
        return judge.ask(program, env=env)
