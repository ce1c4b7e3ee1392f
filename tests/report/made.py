"""Reports made by hand: what a renderer is given, without reading a file."""

from __future__ import annotations

from runworthy.model.arch import architecture
from runworthy.model.finding import Finding, Remedy, Report, Result, Tree, Verdict
from runworthy.model.machine import Machine, baseline
from runworthy.model.trace import Answer, Event, Evidence, Need, Probe, Stage, Step, Stretch, Trace

__all__ = ["finding", "library", "machine", "report", "result", "symbol", "version"]


def machine(arch: str = "x86_64") -> Machine:
    found = architecture(arch)
    assert found
    return baseline(found)


def finding(message: str = "`app` needs GLIBC_2.34, ubuntu:20.04 has glibc 2.31", **changes: object) -> Finding:
    fields: dict[str, object] = {
        "code": "RW301",
        "name": "too-new-version",
        "severity": "error",
        "message": message,
        "stage": "version",
        "cause": "a newer glibc is needed",
        "items": ("GLIBC_2.34",),
        "evidence": (Evidence(file="app", section=".gnu.version_r"),),
        "lines": ("libc.so.6  GLIBC_2.34  `__libc_start_main`, `dlopen`",),
        "notes": ("first in debian:12",),
        "remedies": (Remedy(title="build in manylinux_2_28"),),
        "fingerprint": "0123456789abcdef",
    }
    return Finding(**(fields | changes))  # type: ignore[arg-type] # the fields of the test's choice


def symbol(name: str = "puts", answer: Answer = Answer.MET, **changes: object) -> Step:
    need = Need(kind="symbol", name=name, by="/subject/app", version="GLIBC_2.2.5", file="libc.so.6")
    fields: dict[str, object] = {"stage": "bind", "need": need, "answer": answer}
    if answer is Answer.MET:
        fields["met_by"] = "/lib/libc.so.6"
    return Step(**(fields | changes))  # type: ignore[arg-type]


def version(name: str) -> Step:
    need = Need(kind="symbol-version", name="libc.so.6", file="libc.so.6", version=name, by="/subject/app")
    return Step(stage="version", need=need, answer=Answer.MET, met_by="/lib/libc.so.6")


def library(name: str = "libx.so.1") -> Step:
    return Step(
        stage="load",
        need=Need(kind="library", name=name, by="/subject/app", evidence=Evidence(file="/subject/app")),
        answer=Answer.UNMET,
        searched=(
            Probe(path="/opt/libx.so.1", origin="RPATH of /subject/app"),
            Probe(path="/lib/libx.so.1", origin="default directory", outcome="passed over: wrong ELF class"),
        ),
    )


def result(
    target: str = "ubuntu:20.04",
    verdict: Verdict = "fails",
    *findings: Finding,
    subject: str = "app",
    stage: Stage | None = "version",
    libc: str = "glibc 2.31",
    steps: tuple[Step | Event, ...] = (),
    **changes: object,
) -> Result:
    stretch = Stretch(
        object="/subject/app",
        machine="x86_64",
        loader="/lib64/ld-linux-x86-64.so.2",
        root=target,
        libc=libc,
        loaded=(("app", "/subject/app"), ("libc.so.6", "/lib/libc.so.6")),
        steps=steps,
    )
    fields: dict[str, object] = {
        "subject": subject,
        "target": target,
        "verdict": verdict,
        "stage": None if verdict == "runs" else stage,
        "findings": findings,
        "trace": Trace(stretches=(stretch,)),
        "machine": "x86_64",
        "libc": libc,
        "path": "/subject/app",
        "hardware": machine(),
        "as_of": "2026-08-08",
    }
    return Result(**(fields | changes))  # type: ignore[arg-type]


def report(*results: Result, trees: tuple[Tree, ...] = ()) -> Report:
    return Report(results=results, trees=trees)
