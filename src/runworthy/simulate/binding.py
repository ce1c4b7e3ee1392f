"""What both loaders' symbol binding shares: who answers for a symbol that no loaded object defines.

``host`` is an answer only for what a shared library leaves to an unstated program, and never for a name that any C
library or compiler runtime of the catalogue exports (DESIGN section 3), unless the program is known to have its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from runworthy.model.elf import Binding, ElfFile, ImportGroup
from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass, field
from runworthy.model.trace import Answer, Evidence, Need, Step
from runworthy.simulate.hosts import has_own, host_api
from runworthy.simulate.linkmap import LinkMap, Loaded

__all__ = ["BindContext", "BoundMemo", "Left", "copied_steps", "met_step", "unreadable_step", "unresolved_steps"]

RuntimeNames = Callable[[bytes], bool]
Left = tuple[ImportGroup, frozenset[bytes]]
"""Names of a group that nothing defines."""

_PYTHON_API = (b"PyModule", b"PyArg_", b"PyErr_", b"Py_", b"_Py_", b"PyObject_", b"PyExc_")


@dataclass(slots=True)
class BoundMemo:
    """Objects fully bound by given providers: they stay bound wherever those providers are in scope."""

    _proved: dict[int, list[frozenset[int]]] = field(default_factory=dict)
    _alive: list[ElfFile] = field(default_factory=list)

    def holds(self, elf: ElfFile, scope: frozenset[int]) -> bool:
        """Whether a set of providers that is known to bind ``elf`` lies within ``scope``."""
        return any(providers <= scope for providers in self._proved.get(id(elf), ()))

    def prove(self, elf: ElfFile, providers: frozenset[int]) -> None:
        """Remember that ``providers`` (ids of ElfFile) bind every strong symbol of ``elf``."""
        self._proved.setdefault(id(elf), []).append(providers)
        self._alive.append(elf)  # an id is a name only while its object lives


@dataclass(frozen=True, slots=True, kw_only=True)
class BindContext:
    """What the answers depend on besides the objects.

    ``always_now``: this loader binds nothing lazily at program start. ``of_own_libc`` tells which library of the
    root's own C library defines a name; None where the program is known. ``open_versions``: see ``FileView``.
    """

    link_map: LinkMap
    is_runtime_name: RuntimeNames
    open_host: bool
    of_own_libc: Callable[[bytes], str | None] | None = None
    always_now: bool = False
    open_versions: frozenset[str] = frozenset()
    memo: BoundMemo = field(default_factory=BoundMemo)


def unresolved_steps(context: BindContext, loaded: Loaded, missing: Sequence[Left]) -> Iterator[Step]:
    """Yield a step for each name that no object defines and that a relocation of ``loaded`` uses."""
    names = frozenset[bytes]().union(*(left for _, left in missing))
    if not names:
        return
    try:
        bindings = loaded.elf.bindings(names)
    except FormatError as error:
        yield unreadable_step(loaded, error)
        return
    at_once = _binds_at_once(loaded)
    evidence = _evidence(loaded)
    for group, unresolved in missing:
        for name in sorted(unresolved):
            binding = bindings.get(name, Binding.UNUSED)
            if binding is not Binding.UNUSED:
                lazy = not at_once and _is_lazy(context, loaded, binding)
                yield _step(context, group, name, evidence, lazy=lazy)


def _binds_at_once(loaded: Loaded) -> bool:
    """Whether the object is opened by CPython, which asks for RTLD_NOW (Python/dynload_shlib.c)."""
    opened = loaded.local or (loaded.is_main and not loaded.facts.is_program)
    return opened and any(
        name.startswith(_PYTHON_API) for group in loaded.elf.imports() for name in group.strong if group.file is None
    )


def _is_lazy(context: BindContext, loaded: Loaded, binding: Binding) -> bool:
    """Whether a reference may stay unresolved until it is used; hosts that are not known are taken to ask for that.

    musl defers whatever it cannot resolve of an opened object that does not ask for all at once (do_relocs).
    """
    if not context.always_now:
        return binding is Binding.LAZY
    return loaded.local and not loaded.facts.bind_now


def copied_steps(context: BindContext, loaded: Loaded, missing: Sequence[Left]) -> Iterator[Step]:
    """Yield a step for each variable that the program copies at start and no library defines."""
    evidence = _evidence(loaded)
    for group, unresolved in missing:
        for name in sorted(unresolved):
            yield _step(context, group, name, evidence, lazy=False)


def met_step(main: Loaded, group: ImportGroup, name: bytes, provider: Loaded) -> Step:
    """Return the step of a symbol of the main object that a loaded one meets."""
    need = Need(
        kind="symbol",
        name=name.decode("utf-8", "backslashreplace"),
        version=group.version,
        file=group.file,
        by=main.path,
        weak=name in group.weak,
    )
    return Step(stage="bind", need=need, answer=Answer.MET, met_by=provider.path)


def unreadable_step(loaded: Loaded, error: FormatError) -> Step:
    """Return the step of an object whose symbols cannot be read."""
    need = Need(kind="symbol", name="*", by=loaded.path, evidence=Evidence(file=loaded.path, offset=error.offset))
    return Step(stage="bind", need=need, answer=Answer.UNKNOWN, why="unreadable", detail=error.message)


def _evidence(loaded: Loaded) -> Evidence:
    return Evidence(file=loaded.path, section=".dynsym")


def _step(context: BindContext, group: ImportGroup, name: bytes, evidence: Evidence, *, lazy: bool) -> Step:
    need = Need(
        kind="symbol",
        name=name.decode("utf-8", "backslashreplace"),
        version=group.version,
        file=group.file,
        by=evidence.file,
        lazy=lazy,
        evidence=evidence,
    )
    missing = context.link_map.missing
    named = missing.get(group.file) if group.file else None
    if named is not None:  # the library that should bring it is not there: that is the cause
        return _consequence(need, named)
    brought = context.of_own_libc(name) if context.of_own_libc and group.version is None else None
    if brought is not None:
        return Step(stage="bind", need=need, answer=Answer.HOST, met_by=brought, fatal=False)
    may_be_host = (
        group.version is None
        and context.open_host
        and (not context.is_runtime_name(name) or has_own(need.name, group.strong))
    )
    # A name of a known host's interface is that host's; any other may be a missing library's.
    if may_be_host and (not missing or host_api(need.name)):
        return Step(stage="bind", need=need, answer=Answer.HOST, fatal=False)
    if missing and group.version is None:
        # It may have come from any library that is missing; one whose contents are unknown leaves it unknown.
        cause = next((step for step in missing.values() if step.answer is not Answer.UNMET), None)
        return _consequence(need, cause or next(iter(missing.values())))
    if group.version in context.open_versions:
        return Step(stage="bind", need=need, answer=Answer.UNKNOWN, why="outside-core", fatal=not lazy)
    return Step(stage="bind", need=need, answer=Answer.UNMET, fatal=not lazy)


def _consequence(need: Need, cause: Step) -> Step:
    return Step(
        stage="bind",
        need=need,
        answer=cause.answer,
        met_by=cause.met_by,
        why=cause.why,
        because=cause.key,
        fatal=not need.lazy,
    )
