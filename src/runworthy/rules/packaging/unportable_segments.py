"""RW518: files of a wheel ask for an executable stack, small pages or text relocations."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.model.finding import Finding, Severity
from runworthy.model.trace import Step
from runworthy.rules import Case, Match
from runworthy.rules.wheels import aspect, by_tag, members, promised, tag_steps, who
from runworthy.rules.words import finding, help_

CODE = "RW518"
NAME = "unportable-segments"
SINCE = "0.1.0"
SEVERITY: Severity = "error"
READS = ("tag:unmet",)
ORDER = 40

_NOTES = {
    "exec-stack": "glibc since 2.41 refuses to open such a library: `cannot enable executable stack`",
    "page-size": "kernels of the architecture have pages of 4, 16 or 64 KiB: RHEL 8's are of 64 KiB on aarch64",
    "text-relocations": "SELinux refuses them (execmod), and memory is not shared between processes",
}
_HELP = {
    "exec-stack": 'add `.section .note.GNU-stack,"",@progbits` to its assembly files, or `patchelf --clear-execstack`',
    "page-size": "link it with `-Wl,-z,max-page-size=65536`",
    "text-relocations": "compile all of it with `-fPIC`",
}


def check(case: Case) -> Iterator[Match]:
    """Yield each tag with the files of each kind."""
    for tag, steps in by_tag(tag_steps(case, *_NOTES)).items():
        for kind in _NOTES:
            held = [step for step in steps if aspect(step) == kind]
            if held:
                yield Match(finding=_finding(case, tag, kind, held), covers=tuple(held))


def _finding(case: Case, tag: str, kind: str, steps: list[Step]) -> Finding:
    names, several = who(case, steps)
    verb = "" if several else "s"
    messages = {
        "exec-stack": f"{names} ask{verb} for an executable stack, {tag} promises systems that give none",
        "page-size": f"{names} can be mapped with pages of up to {steps[0].need.file}, {tag} promises larger ones too",
        "text-relocations": f"{names} {'have' if several else 'has'} text relocations",
    }
    musl = promised(tag).startswith("musl")
    severity: Severity = SEVERITY if any(step.fatal for step in steps) else "warning"
    return finding(
        case,
        (CODE, NAME, severity),
        messages[kind],
        cause=messages[kind].partition(", ")[0].replace(names, "a file"),
        steps=steps,
        notes=("" if musl and kind == "exec-stack" else _NOTES[kind], members(case, steps)),
        remedies=(help_(_HELP[kind]),),
    )
