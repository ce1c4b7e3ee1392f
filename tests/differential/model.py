"""What the model says about a file in a root, in the words of a judge's answer."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runworthy.model.arch import architecture
from runworthy.model.errors import FormatError
from runworthy.model.machine import Machine, baseline
from runworthy.model.trace import Answer as Met
from runworthy.model.trace import Step, Trace
from runworthy.simulate.launch import Launch
from runworthy.simulate.process import Machinery, simulate_under
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from tests.judges.answer import Answer
from tests.judges.roots import Root

__all__ = ["Model", "Said", "judged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The sets that are compared, paths as they are after following links in the root."""

    missing: frozenset[str] = frozenset()
    versions: frozenset[tuple[str, str, str]] = frozenset()
    undefined: frozenset[tuple[str, str, str | None]] = frozenset()
    relocations: frozenset[tuple[str, str]] = frozenset()
    chosen: Mapping[str, str] = field(default_factory=dict)
    fatal: str | None = None


UNSEEN = "(version not seen)"


class Model:
    """The model of one judge root, with directories of this machine bound into it as the judge has them."""

    def __init__(
        self,
        root: Root,
        *,
        path: Path | None = None,
        binds: Mapping[str, Path] | None = None,
        launch: Launch | None = None,
        machine: Machine | None = None,
    ) -> None:
        arch = architecture(root.arch)
        assert arch is not None
        overlay = Overlay(DirectoryView(str(path or root.path)))
        for at, host in (binds or {}).items():
            view = DirectoryView("/")
            if host.is_dir():
                overlay.mount(at, view, str(host.resolve()))
            else:
                overlay.add_from(at, view, str(host.resolve()))
        self.root = root
        self.view = overlay
        self.target = Target(name=root.name, view=overlay, machine=machine or baseline(arch))
        launch = launch or Launch(trace=False, until="bind")
        self.machinery = Machinery(self.target, launch, lambda _: False)

    def trace(self, path: str) -> Trace:
        """Return the trace of the file at ``path``."""
        real = self.view.resolve(path).path
        return simulate_under(self.machinery, real, self.view.elf(real), self.root.loader)

    def say(self, path: str) -> Said:
        """Return the model's answer."""
        steps = list(self.trace(path).needs)
        unmet = [step for step in steps if step.answer is not Met.MET]
        versions = self.root.libc == "glibc"  # musl tells no version of a symbol
        return Said(
            missing=frozenset(step.need.name for step in unmet if step.need.kind == "library" and not step.detail),
            versions=frozenset(
                (step.detail, step.need.version or "", step.need.by)
                for step in unmet
                if step.need.kind == "symbol-version" and step.because is None and not step.need.weak
            ),
            undefined=frozenset(
                (step.need.by, step.need.name, _version(step) if versions else None)
                for step in unmet
                if step.need.kind == "symbol"
            ),
            relocations=frozenset(
                (step.need.by, step.need.name)
                for step in unmet
                if step.need.kind == "relocation" and not step.need.name.startswith("DT_")
            ),
            chosen={
                step.need.name: step.met_by or ""
                for step in steps
                if step.need.kind == "library" and step.answer is Met.MET
            },
            fatal=_fatal(unmet),
        )

    def real(self, path: str) -> str:
        """Return ``path`` with links followed; a path that cannot be followed stays as it is."""
        try:
            return self.view.resolve(posixpath.join("/", path)).path
        except (OSError, FormatError):
            return path


def _fatal(steps: list[Step]) -> str | None:
    """Return the message with which the loader gives up: what it would have said after that is not known."""
    return next((step.detail for step in steps if step.need.kind == "library" and step.detail), None)


def _version(step: Step) -> str | None:
    """Return the version as the judge shows it, or that it cannot be seen.

    ld.so loses the version of such a symbol while it traces (elf/dl-version.c: versions of a faked object
    are not counted): it looks the name up without one, and may even find it elsewhere. Started in earnest it
    would have ended at the missing library. Nor does a trace tell of packed relocations that it passes over:
    those are judged by starting the program.
    """
    lost = step.need.file is not None and step.because == f"library:{step.need.file}"
    return UNSEEN if lost else step.need.version


def judged(model: Model, answer: Answer, said: Said) -> Said:
    """Return a judge's answer with paths as the model writes them, less what this judge cannot see."""
    real = model.real
    unseen = {(path, name) for path, name, version in said.undefined if version == UNSEEN}
    undefined = {(real(row.object), row.symbol): row.version for row in answer.undefined}
    return Said(
        missing=answer.missing_names,
        versions=frozenset((real(row.library), row.version, real(row.required_by)) for row in answer.missing_versions),
        undefined=frozenset(
            [(*key, version) for key, version in undefined.items() if key not in unseen]
            + [(*key, UNSEEN) for key in unseen]
        ),
        relocations=frozenset((real(row.object), row.detail.split()[-1]) for row in answer.bad_relocations),
        chosen={name: real(path) for name, path in answer.chosen.items()},
        fatal=answer.fatal,
    )
