"""RW305: symbols that have to be bound at start are defined nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import count, finding, help_, listed, rows, unique

CODE = "RW305"
NAME = "missing-symbol"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("symbol:unmet",)
ORDER = 50

_ROWS = 6
_NAMES = 6


def check(case: Case) -> Iterator[Match]:
    """Yield the missing symbols of each object, by the library that should bring them."""
    groups: dict[tuple[str, str], list[Step]] = {}
    for step in case.steps("symbol"):
        if step.fatal and not step.detail:
            groups.setdefault((step.need.by, _provider(case, step)), []).append(step)
    for (_, provider), steps in groups.items():
        yield Match(finding=_finding(case, provider, steps), covers=tuple(steps))


def _provider(case: Case, step: Step) -> str:
    """Return the library that should bring a symbol: the one its version record names, else the catalogue's."""
    if step.need.file:
        return step.need.file
    providers = case.catalogue.providers(step.need.name.encode(), case.machine)
    family = case.libc.family if case.libc else ""
    fitting = [name for name in providers if ":" not in name and name != "musl"]
    fitting += [name.partition(":")[2] for name in providers if name.startswith(f"{family}:")]
    loaded = {name for stretch in case.trace.stretches for name, _ in stretch.loaded}
    absent = [name for name in fitting if not any(path.endswith(f"/{name}") or path == name for path in loaded)]
    return absent[0] if absent else ""


def _finding(case: Case, provider: str, steps: list[Step]) -> Finding:
    names = unique(step.need.name for step in steps)
    who = case.needer(steps[0].need)
    symbols = f"`{names[0]}`" if len(names) == 1 else count(len(names), "symbol")
    loaded = any(name == provider for stretch in case.trace.stretches for name, _ in stretch.loaded)
    asks = any(step.need.file for step in steps)
    if provider and asks:
        it = "it" if len(names) == 1 else "them"
        message = f"`{who}` needs {symbols} of `{provider}`, {_lacks(case, provider, it)}"
    elif provider and not loaded:
        message = f"`{who}` needs {symbols} of `{provider}`, which nothing that it loads on {case.target} needs"
    else:
        message = f"`{who}` needs {symbols}, defined by nothing that it loads on {case.target}"
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause=f"`{provider}` lacks symbols"
        if provider and asks
        else f"symbols are needed that nothing defines{_by(case, who)}",
        items=names,
        steps=steps,
        lines=_lines(names, steps),
        notes=(_seen(case, who, names),),
        remedies=(*_remedies(provider, who, listed=asks or loaded), *_by_host(case, asks=asks)),
    )


def _by(case: Case, who: str) -> str:
    return "" if who == case.subject else f", by `{who}`"


def _lacks(case: Case, provider: str, what: str) -> str:
    musl = case.libc is not None and case.libc.family == "musl"
    if musl and provider.startswith(("libc.", "libm.", "libpthread.", "libdl.", "librt.", "libutil.")):
        return f"for which {case.libc} of {case.target} answers and does not define {what}"
    path = next((path for name, path in _loaded(case) if provider in (name, name.rpartition("/")[2])), "")
    whose = f"`{case.show(path)}`" if case.show(path) != path else f"that of {case.target}"
    return f"{whose} does not define {what}"


def _loaded(case: Case) -> list[tuple[str, str]]:
    return [pair for stretch in case.trace.stretches for pair in stretch.loaded]


def _lines(names: list[str], steps: Sequence[Step]) -> tuple[str, ...]:
    versions: dict[str, list[str]] = {}
    for step in steps:
        versions.setdefault(step.need.version or "", []).append(step.need.name)
    if len(names) == 1 and "" in versions:
        return ()
    if set(versions) == {""}:
        shown = rows([(name,) for name in names[:_ROWS]])
        return (*shown, f"and {count(len(names) - _ROWS, 'more symbol')}") if len(names) > _ROWS else shown
    return rows((version, listed(sorted(set(held)), _NAMES)) for version, held in sorted(versions.items()))


def _seen(case: Case, who: str, names: list[str]) -> str:
    musl = case.libc is not None and case.libc.family == "musl"
    if musl:
        return f"musl says `Error relocating {who}: {names[0]}: symbol not found`"
    return f"ld.so says `symbol lookup error: undefined symbol: {names[0]}`"


def _by_host(case: Case, *, asks: bool) -> Iterator[Remedy]:
    """Yield how to count a loading program's symbols in, where none of them names another library."""
    if case.facts is not None and not case.facts.is_program and not asks:
        yield help_("name the program that loads it, and what that defines counts too: `--loaded-by PROGRAM`")


def _remedies(provider: str, who: str, *, listed: bool) -> Iterator[Remedy]:
    if provider and not listed:
        yield help_(f"link it with `{provider}`, or add it: `patchelf --add-needed {provider} {who}`")
