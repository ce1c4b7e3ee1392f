"""RW220: the program starts, and lacks files that it opens later by itself."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import fails, finding, help_, listed, rows

CODE = "RW220"
NAME = "run-time-files"
SINCE = "0.1.0"
SEVERITY: Severity = "note"
READS = ("run-time-file:unmet",)
ORDER = 50

_DIFFERS = {
    "CA certificates": "no TLS certificate can be verified",
    "time zones": "only UTC and zones given by TZ as rules are known",
    "name service configuration": "names of hosts are looked up in the order that the program has built in",
    "name service libraries of the same glibc": "users, groups and hosts are not looked up (getpwnam, getaddrinfo)",
}
_PACKAGES = {"CA certificates": "ca-certificates", "time zones": "tzdata"}
_GO = {
    "CA certificates": "import `golang.org/x/crypto/x509roots/fallback`",
    "time zones": "build it with `-tags timetzdata`",
}


def check(case: Case) -> Iterator[Match]:
    """Yield one note on everything that the program names and the root lacks."""
    steps = case.steps("run-time-file")
    if steps:
        yield Match(finding=_finding(case, steps), covers=tuple(steps))


def _finding(case: Case, steps: list[Step]) -> Finding:
    names = [step.need.name for step in steps]
    starts = "starts" if not fails(case) else "opens files at run time"
    message = f"`{case.needer(steps[0].need)}` {starts}; {case.target} lacks {listed(names)}, which it opens later"
    table = rows((step.need.name, _DIFFERS.get(step.need.name, step.detail)) for step in steps)
    notes = (_resolver(case, names), *(step.detail for step in steps))
    remedies = tuple(_remedies(case, names))
    return finding(
        case,
        (CODE, NAME, SEVERITY),
        message,
        cause="files that are opened at run time are lacking",
        items=names,
        steps=steps,
        lines=table,
        notes=notes,
        remedies=remedies,
    )


def _resolver(case: Case, names: list[str]) -> str:
    """Tell by what a Go program resolves names of hosts."""
    go = case.objects.build(case.path).go
    if go is None or "name service configuration" not in names:
        return ""
    cgo = go.settings.get("CGO_ENABLED") == "1" and "netgo" not in go.settings.get("-tags", "").split(",")
    by = "the C library's, through cgo, or Go's own" if cgo else "Go's own"
    return f"built with {go.version} and CGO_ENABLED={go.settings.get('CGO_ENABLED', '0')}: its resolver is {by}"


def _remedies(case: Case, names: list[str]) -> Iterator[Remedy]:
    packages = [_PACKAGES[name] for name in names if name in _PACKAGES]
    if packages:
        yield help_(f"add {listed([f'`{package}`' for package in packages])} to the root")
    if case.objects.build(case.path).go is not None:
        for name in names:
            if name in _GO:
                yield help_(f"or carry them in the program: {_GO[name]}")
