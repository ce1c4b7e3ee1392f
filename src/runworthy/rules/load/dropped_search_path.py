"""RW205: the loader leaves out a search path that the file names."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.words import finding, help_, probes, quoted, unique, would_come

CODE = "RW205"
NAME = "dropped-search-path"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("path-dropped",)
ORDER = 20


def check(case: Case) -> Iterator[Match]:
    """Yield what each object loses of its search path, with the libraries that are then not found."""
    found: dict[tuple[str, str], list[str]] = {}
    for event in case.events("path-dropped"):
        path, _, reason = event.text.removeprefix("search path ").partition(" is dropped")
        found.setdefault((event.by, reason.removeprefix(": ")), []).append(path)
    for (by, reason), paths in found.items():
        missing = [step for step in case.steps("library") if not step.detail and step.need.by == by]
        yield Match(finding=_finding(case, by, paths, reason, missing), covers=tuple(missing))


def _finding(case: Case, by: str, paths: list[str], reason: str, missing: list[Step]) -> Finding:
    who = case.show(by)
    names = unique(step.need.name for step in missing)
    lost = f"{quoted(names)} {'is' if len(names) == 1 else 'are'} not found" if names else "nothing is missing for it"
    loader = case.libc.family if case.libc else "the loader"
    message = f"`{who}` searches {quoted(paths)}, which {loader} drops{f', since {reason}' if reason else ''}; {lost}"
    severity: Severity = SEVERITY if missing else "note"
    return finding(
        case,
        (CODE, NAME, severity),
        message,
        cause=f"search paths are dropped{f', since {reason}' if reason else ''}",
        items=names,
        steps=missing,
        stage="load",
        lines=probes(case, missing[0]) if missing else (),
        notes=(would_come(case.following(missing), _them(missing)),),
        remedies=tuple(_remedies(paths, reason)) if missing else (),
    )


def _them(missing: list[Step]) -> str:
    return "it" if len({step.need.name for step in missing}) == 1 else "them"


def _remedies(paths: list[str], reason: str) -> Iterator[Remedy]:
    if "/proc" in reason:
        yield help_("mount /proc in the root")
    elif "privileges" in reason:
        yield help_("install the libraries in a directory that the loader searches by itself")
    elif "token" in reason:
        plain = ":".join(unique(":".join(paths).replace("${LIB}", "lib").replace("$LIB", "lib").split(":")))
        written = plain.replace("$ORIGIN", "").replace("${ORIGIN}", "")
        yield help_(
            "write the path without that token" if "$" in written else f"write it out: `patchelf --set-rpath '{plain}'`"
        )
