"""What all rules on files that are stored again say alike: how much, beside whom, of which packages, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runworthy.model.finding import Finding, Remedy, Severity
from runworthy.model.storage import BARS, CAUSES, Cause, Waste
from runworthy.rules import Case, Match
from runworthy.rules.words import bytes_of, count, finding, help_, rows

__all__ = ["them", "told", "who"]

_PACKAGES_SHOWN = 8
_EXAMPLES_SHOWN = 2
_LINKED = {"hardlink": "hard links", "symlink": "symbolic links"}
_WORKS = {
    True: "; tried: links work there",
    False: "; tried: links are refused there",
    None: "",
}
_IN_PLACE = "one or both are of no package: whoever changes one in place changes the other too, once they are one file"
_ONE_FILE = "a hard link is one file: what is written into it in place is so under each of its names"


def told(case: Case, cause: Cause, rule: tuple[str, str, Severity], why: Callable[[Waste], str]) -> Iterator[Match]:
    """Yield what one cause stores again in this environment. ``why`` says the cause of one in words."""
    for waste in case.stored(cause):
        if isinstance(waste, Waste):
            yield Match(finding=_finding(case, rule, waste, why(waste)))


def them(waste: Waste) -> str:
    """Return how the files are called after they were counted."""
    return "it" if waste.files == 1 else "them"


def who(waste: Waste) -> str:
    """Return the installer with its version, as far as it is known."""
    return " ".join(filter(None, (waste.installer, waste.version))) or "the installer"


def _finding(case: Case, rule: tuple[str, str, Severity], waste: Waste, why: str) -> Finding:
    return finding(
        case,
        rule,
        f"`{case.show(waste.environment)}` stores {_much(waste.files, waste.size)} {_beside(case, waste)}: {why}",
        cause=_cause(waste),
        items=(name for name, _, _ in waste.packages if name),
        steps=(),
        stage="environment",
        identity=_identity(waste),
        lines=_packages(waste),
        notes=(*_whose(case, waste), *_facts(waste), *_examples(case, waste), *_left(waste)),
        remedies=tuple(_remedies(waste)),
    )


def _cause(waste: Waste) -> str:
    """Return the cause with what would mend it: what another setting would mend is told by itself."""
    return f"{CAUSES[waste.cause]}; {waste.setting}" if waste.setting else CAUSES[waste.cause]


def _identity(waste: Waste) -> str:
    """Return what a finding is known by among those of one rule."""
    told = (waste.environment, waste.other, waste.installer, waste.cause_in, "plain" if waste.plain else "")
    return "\n".join(told)


def _beside(case: Case, waste: Waste) -> str:
    """Return whom they are stored again beside."""
    if waste.other == waste.environment:
        return "more than once"
    if not waste.other:
        return "again that other environments have too"
    return f"again that `{case.show(waste.other)}` has too"


def _much(files: int, size: int) -> str:
    return f"{count(files, 'file')} ({bytes_of(size)})"


def _packages(waste: Waste) -> tuple[str, ...]:
    table = rows(
        (name or "in no record", count(files, "file"), bytes_of(size))
        for name, files, size in waste.packages[:_PACKAGES_SHOWN]
    )
    more = len(waste.packages) - len(table)
    return (*table, f"and {count(more, 'more package')}") if more > 0 else table


def _whose(case: Case, waste: Waste) -> Iterator[str]:
    """Yield where the cause lies, if that is not where the files are stored again."""
    if waste.cause_in not in ("", waste.environment):
        yield f"that is so of `{case.show(waste.cause_in)}`"


def _facts(waste: Waste) -> Iterator[str]:
    for what, how in waste.facts:
        yield f"{what}: {how}"


def _examples(case: Case, waste: Waste) -> Iterator[str]:
    for path, same, size in waste.examples[:_EXAMPLES_SHOWN]:
        yield f"`{case.show(path)}` is the same as `{case.show(same)}` ({bytes_of(size)})"


def _left(waste: Waste) -> Iterator[str]:
    """Yield what is left as it is, and why."""
    for bar, files, size in waste.bars:
        yield f"{_much(files, size)} {'is' if files == 1 else 'are'} left: {BARS[bar]}"
    if waste.is_one_file:
        yield _IN_PLACE
    if waste.shares and not waste.frees:
        why = "other files use the same storage" if waste.size else "no room is taken"
        yield f"to share {them(waste)} frees nothing by itself: {why}"


def _remedies(waste: Waste) -> Iterator[Remedy]:
    if waste.frees:
        yield _sharing(waste)
    if waste.setting:
        yield help_(f"so that it does not come back: {waste.setting}{_WORKS[waste.works]}")


def _sharing(waste: Waste) -> Remedy:
    """Return that they are shared.

    It is proved where the bytes were compared: whatever bars it has been left out, so that every path has the bytes,
    the owner, the permissions and the attributes that it had, and the copies are gone. Records prove nothing.
    """
    hows = {share.how for share in waste.shares}
    linked = next((_LINKED[how] for how in hows if how in _LINKED), "")
    compared = all(share.how != "ranges" for share in waste.shares) and not _unread(waste)
    return Remedy(
        title=f"share {count(len(waste.shares), 'file')}"
        f"{f' by {linked}' if linked else ''}, which frees {bytes_of(waste.frees)}: `runworthy dedupe PATH --apply`",
        applicability="unsafe" if waste.is_one_file else "safe",
        unsafe=_IN_PLACE if waste.is_one_file else "",
        proved=compared,
        proof="their bytes were compared, and are compared once more before one is shared"
        if compared
        else "their bytes are compared before one is shared",
        edits=waste.shares,
        stays=True,
        leaves=(_ONE_FILE,) if "hardlink" in hows else (),
    )


def _unread(waste: Waste) -> bool:
    return any(what in ("recorded, not read", "compared by an earlier run") for what, _ in waste.facts)
