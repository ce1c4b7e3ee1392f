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
from runworthy.simulate.process import Machinery, simulate, simulate_under
from runworthy.targets.directory import DirectoryView
from runworthy.targets.overlay import Overlay
from runworthy.targets.target import Target
from tests.judges.answer import Answer
from tests.judges.roots import Root

__all__ = ["UNSEEN", "Model", "Said", "judged"]


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
        return simulate_under(self.machinery, path, self.root.loader)

    def say(self, path: str) -> Said:
        """Return the model's answer about a file that the loader is started with."""
        return self.said(self.trace(path))

    def started(self, path: str) -> Said:
        """Return the model's answer about a program that the kernel starts."""
        real = self.view.resolve(path).path
        return self.said(simulate(self.machinery, real, self.view.elf(real)))

    def said(self, trace: Trace) -> Said:
        """Return a trace of a file of this root in the words of a judge's answer."""
        steps = list(trace.needs)
        unmet = [step for step in steps if step.answer not in (Met.MET, Met.IGNORED)]
        glibc = self.root.libc == "glibc"  # musl gives up on one library only, and tells no version of a symbol
        return Said(
            # A trace lists an auxiliary library that is not there, unless the main object names it; a start passes it
            # over (tests/judges/README.md).
            missing=frozenset(
                event.text.split()[0]
                for event in trace.events
                if event.kind == "auxiliary-ignored" and event.by != trace.stretches[0].object
            )
            | frozenset(
                step.need.name for step in unmet if step.need.kind == "library" and not (glibc and step.detail)
            ),
            versions=frozenset(
                (step.searched[0].path, step.need.version or "", step.need.by)
                for step in unmet
                if step.need.kind == "symbol-version" and step.searched and not (step.need.weak or step.detail)
            ),
            undefined=frozenset(
                (step.need.by, step.need.name, _version(step) if glibc else None)
                for step in unmet
                if step.need.kind == "symbol"
            ),
            relocations=frozenset(
                (step.need.by, step.need.name)
                for step in unmet
                if step.need.kind == "relocation" and not step.need.name.startswith("DT_")
            ),
            chosen=self._chosen(trace),
            fatal=_fatal(unmet) if glibc else None,
        )

    def _chosen(self, trace: Trace) -> dict[str, str]:
        """Return each library under the name by which it was first asked for, program and loader left out."""
        _, *libraries = trace.stretches[0].loaded or (("", ""),)
        loader = self.real(self.root.loader)
        return {name: path for name, path in libraries if path != loader}

    def real(self, path: str) -> str:
        """Return ``path`` with links followed; a path that cannot be followed stays as it is."""
        try:
            return self.view.resolve(posixpath.join("/", path)).path
        except (OSError, FormatError):
            return path


def _fatal(steps: list[Step]) -> str | None:
    """Return the message with which the loader gives up: what it would have said after that is not known."""
    kinds = ("library", "symbol-version")
    return next((step.detail for step in steps if step.need.kind in kinds and step.detail), None)


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
