"""Every recorded case: one semantic of a loader each, the model against what the real loader said."""

from __future__ import annotations

import os
import posixpath
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runworthy.engine import verdict_of
from runworthy.model.arch import architecture
from runworthy.model.errors import FormatError
from runworthy.model.machine import Machine, baseline, level_of_cpu, parse_kernel
from runworthy.model.trace import Answer as Met
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import simulate
from tests.cases import every
from tests.cases.build import Builder, Composed
from tests.cases.recipe import Case, Listing, Start, Truth
from tests.differential.model import UNSEEN, Model, Said
from tests.judges import roots

_PAIRS = [(case, name) for case in every() for name in case.roots]

# The loaders' exit status for a program that cannot be started (glibc: 1 and a message for a missing version).
_NOT_STARTED = 127
_TRACE_DIES = "killed by SIGSEGV"
# What a loader started by hand says of a main program that execve would have refused.
_SEEN_BY_EXECVE = ("wrong ELF class", "cannot open shared object file", "Not a valid dynamic program")

# CPU models of qemu by x86-64 level.
_CPU_LEVELS = {"Nehalem": "v2", "Haswell": "v3", "qemu64": "v1", "Skylake-Server": "v4"}


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """One builder for the module: files compiled for one root serve the next. Other users may read what it builds."""
    with tempfile.TemporaryDirectory(prefix="runworthy-cases-") as directory:
        Path(directory).chmod(0o755)
        yield Builder(Path(directory))


def _machine(composed: Composed, truth: Truth) -> Machine:
    arch = architecture(composed.root.arch)
    assert arch is not None
    machine = baseline(arch)
    emulator = truth.emulator
    cpu = emulator.cpu if emulator else None
    if machine.level:
        level = level_of_cpu(_CPU_LEVELS.get(cpu or "", "v3"))
        machine = replace(machine, level=level or 1, level_stated=True)
    page_size = emulator.page_size if emulator else None
    kernel = parse_kernel(emulator.kernel) if emulator and emulator.kernel else (6, 1, 0)
    return replace(machine, page_size=page_size or 4096, page_size_stated=True, kernel=kernel)


def _model(composed: Composed, truth: Truth) -> Model:
    launch = Launch(
        env=truth.env,
        cwd=truth.cwd,
        proc=truth.proc,
        secure=_is_secure(composed, truth),
        until="bind" if isinstance(truth, Listing) else "machine",
    )
    return Model(composed.root, launch=launch, machine=_machine(composed, truth))


def _is_secure(composed: Composed, truth: Truth) -> bool:
    """Whether the kernel starts the program with other credentials than its caller's (AT_SECURE)."""
    mode = (composed.root.path / truth.subject.lstrip("/")).lstat().st_mode
    return bool(truth.uid) and bool(mode & (stat.S_ISUID | stat.S_ISGID))


def _listing(model: Model, truth: Listing) -> dict[str, object]:
    """Return what the model says otherwise than the record."""
    if truth.fatal is not None and truth.fatal.startswith(_SEEN_BY_EXECVE):
        trace = simulate(model.machinery, truth.subject, model.view.elf(truth.subject))
        return {} if verdict_of(trace)[0] == "fails" else {"promise": (truth, trace)}
    said = model.started(truth.subject) if truth.started else model.say(truth.subject)
    if truth.fatal == _TRACE_DIES:  # the tracing loader's own crash; started in earnest it misses the library
        return {} if said.missing or said.versions else {"promise": (truth, said)}
    if truth.fatal is not None:
        message = said.fatal or ""
        return {} if truth.fatal in message else {"fatal": (message, truth.fatal)}

    def real(path: str) -> str:
        return model.real(posixpath.join(truth.cwd, path))

    unseen = {(path, name) for path, name, version in said.undefined if version == UNSEEN}
    undefined = [(real(path), name, version) for path, name, version in truth.undefined]
    recorded = Said(
        missing=frozenset(entry if isinstance(entry, str) else entry[0] for entry in truth.missing),
        versions=frozenset((real(library), version, real(by)) for library, version, by in truth.versions),
        undefined=frozenset((*row[:2], UNSEEN if row[:2] in unseen else row[2]) for row in undefined),
        relocations=frozenset((real(path), detail.split()[-1]) for path, detail in truth.relocations),
        chosen={name: real(path) for name, path in truth.chosen.items()},
    )
    wrong: dict[str, object] = {
        key: (getattr(said, key), getattr(recorded, key))
        for key in ("missing", "versions", "undefined", "relocations", "chosen")
        if getattr(said, key) != getattr(recorded, key)
    }
    if said.fatal:
        wrong["fatal"] = (said.fatal, None)
    return wrong


def _start(model: Model, truth: Start) -> dict[str, object]:
    """Return a promise that was broken: a program said to run that does not, or the other way round.

    Programs that are given arguments open libraries by themselves, which no look at the file can tell: what they
    open is judged by `test_dlopen`. Those that end with a number of their own have started.
    """
    if truth.arguments:
        return {}
    real = model.view.resolve(truth.subject).path
    try:
        trace = simulate(model.machinery, real, model.view.elf(real))
    except (FormatError, OSError):
        return {} if truth.errno is not None or truth.rc else {"alarm": truth}
    verdict, _ = verdict_of(trace)
    unmet = [step for step in trace.needs if step.answer is not Met.MET]
    ends_well = truth.errno is None and truth.rc is not None and 0 <= truth.rc < _NOT_STARTED
    ends_well = ends_well and (truth.rc == 0 or not truth.stderr)
    if ends_well and verdict in ("fails", "unknown"):
        return {"alarm": (verdict, unmet)}
    if not ends_well and verdict == "runs":
        return {"promise": (verdict, truth)}
    return {}


def _difference(composed: Composed, truth: Truth) -> dict[str, object]:
    model = _model(composed, truth)
    return _listing(model, truth) if isinstance(truth, Listing) else _start(model, truth)


def as_user(work: Callable[[Composed, Truth], dict[str, object]], composed: Composed, truth: Truth) -> str:
    """Return what ``work`` finds, in words, when it reads the root with the credentials of the truth's user."""
    if _is_secure(composed, truth):
        return str(work(composed, truth) or "")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - counted in the parent
        try:
            os.setgid(truth.uid or 0)
            os.setuid(truth.uid or 0)
            os.write(writer, str(work(composed, truth) or "").encode()[:60000])
        except BaseException as error:  # noqa: BLE001 - told to the parent, whatever it is
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.mark.judge
@pytest.mark.parametrize(("case", "name"), _PAIRS, ids=[f"{case.name}-{name}" for case, name in _PAIRS])
def test_model_says_what_the_loader_said(builder: Builder, case: Case, name: str) -> None:
    """The model's sets, choices and fatal messages equal the real loader's."""
    composed = builder.compose(case, roots.requires(name))
    wrong = []
    for truth in case.truths:
        if name in truth.on:
            found = as_user(_difference, composed, truth) if truth.uid else _difference(composed, truth)
            if found:
                wrong.append((truth, found))
    assert not wrong, wrong


_OPENING = [
    (case, name, truth)
    for case in every()
    for truth in case.truths
    if isinstance(truth, Start) and truth.arguments and truth.arguments[0].startswith("/")
    for name in truth.on
]


@pytest.mark.judge
@pytest.mark.parametrize(
    ("case", "name", "truth"), _OPENING, ids=[f"{case.name}-{name}-{n}" for n, (case, name, _) in enumerate(_OPENING)]
)
def test_dlopen(builder: Builder, case: Case, name: str, truth: Start) -> None:
    """A library that a program opens: the model with ``loaded_by`` against what became of the real dlopen."""
    composed = builder.compose(case, roots.requires(name))
    model = _model(composed, truth)
    launch = replace(model.machinery.launch, loaded_by=truth.subject, until="machine")
    model.machinery.launch = launch
    library = model.view.resolve(truth.arguments[0]).path
    verdict, _ = verdict_of(simulate(model.machinery, library, model.view.elf(library)))
    assert (verdict == "fails") == bool(truth.stderr), (verdict, truth)
