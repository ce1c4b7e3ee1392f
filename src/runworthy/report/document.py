"""The report document: the report as plain data, which every machine-readable format writes out.

The layout is ``runworthy.report/1``; ``schema/runworthy.report-1.json`` describes it key by key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from runworthy import __version__
from runworthy.model.finding import Finding, Remedy, Report, Result, Tree
from runworthy.model.trace import Answer, Event, Evidence, Probe, Step, Stretch
from runworthy.report.causes import causes, ranked
from runworthy.report.words import encodable

if TYPE_CHECKING:  # most reports propose no edits
    from runworthy.model.edit import Edit

__all__ = ["SCHEMA", "Data", "document", "remedy_data", "result_data"]

SCHEMA = "runworthy.report/1"

Data = dict[str, object]


def document(report: Report, *, trace: bool = False) -> Data:
    """Return the report as data of strings, numbers, lists and dictionaries. ``trace`` keeps the needs that are met."""
    findings = [finding for result in report.results for finding in result.findings]
    names = {subject: also for tree in report.trees for subject, also in tree.aliases.items()}
    return {
        "schema": SCHEMA,
        "runworthy": __version__,
        "results": [result_data(result, names.get(result.subject, ()), trace=trace) for result in report.results],
        "summary": {
            "cells": len(report.results),
            "subjects": len({result.subject for result in report.results}),
            "targets": len({result.target for result in report.results if result.target}),
            "verdicts": _numbers([result.verdict for result in report.results], ("runs", "risky", "unknown", "fails")),
            "findings": _numbers(
                [finding.severity for finding in findings if not finding.waived], ("error", "warning", "note")
            ),
            "waived": report.waived,
            "causes": list(_causes(report)),
            "trees": [_tree(tree) for tree in report.trees],
        },
    }


def _causes(report: Report) -> Iterator[Data]:
    """Yield the causes of each target, the worst and the most frequent first."""
    targets: dict[str, list[Result]] = {}
    for result in report.results:
        targets.setdefault(result.target, []).append(result)
    for target, results in targets.items():
        for cause in ranked(causes(results)):
            yield {
                "code": cause.code,
                "name": cause.name,
                "severity": cause.severity,
                "message": encodable(cause.text),
                "items": [{"name": encodable(item), "subjects": number} for item, number in cause.items],
                "target": encodable(target) or None,
                "subjects": [encodable(subject) for subject in cause.subjects],
            }


def _tree(tree: Tree) -> Data:
    data: Data = {
        "name": encodable(tree.name),
        "files": tree.files,
        "subjects": tree.subjects,
        "passed_over": dict(tree.passed_over),
    }
    return data | {key: encodable(text) for key, text in (("kind", tree.kind), ("within", tree.within)) if text}


def _numbers(words: list[str], order: tuple[str, ...]) -> Data:
    found = Counter(words)
    return {word: found[word] for word in order}


def result_data(result: Result, names: Sequence[str], *, trace: bool) -> Data:
    needs = [
        _need(step, at)
        for at, stretch in enumerate(result.trace.stretches)
        for step in stretch.needs
        if trace or step.answer is not Answer.MET or step.assumption
    ]
    data: Data = {
        "subject": encodable(result.subject),
        "also": [encodable(name) for name in names],
        "target": encodable(result.target) or None,
        "path": encodable(result.path),
        "verdict": result.verdict,
        "stage": result.stage,
        "until": result.trace.until,
        "root": {
            "libc": result.libc or None,
            "completeness": result.completeness,
            "as_of": result.as_of or None,
            "notes": [encodable(note) for note in result.notes],
        },
        "machine": _machine(result),
        "assumptions": [encodable(text) for text in result.assumptions],
        "findings": [_finding(finding) for finding in result.findings],
        "stretches": [_stretch(stretch, trace=trace) for stretch in result.trace.stretches],
        "needs": needs,
    }
    if result.counted != result.verdict:
        data["counted"] = result.counted
    return data


def _machine(result: Result) -> Data | None:
    machine = result.hardware
    if machine is None:
        return None
    assumed = [
        name
        for name, stated in (
            ("arch", result.arch_stated),
            ("cpu", machine.level_stated or not machine.level),
            ("page_size", machine.page_size_stated),
        )
        if not stated
    ]
    return {
        "arch": machine.arch.name,
        "cpu": machine.cpu,
        "page_size": machine.page_size,
        "kernel": ".".join(map(str, machine.kernel)) if machine.kernel else None,
        "assumed": assumed,
    }


def _finding(finding: Finding) -> Data:
    data: Data = {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "stage": finding.stage,
        "message": encodable(finding.message),
        "cause": encodable(finding.cause),
        "items": [encodable(item) for item in finding.items],
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
        "lines": [encodable(line) for line in finding.lines],
        "notes": [encodable(note) for note in finding.notes],
        "remedies": [remedy_data(remedy) for remedy in finding.remedies],
        "fingerprint": finding.fingerprint,
    }
    if finding.waived:
        data |= {"waived": encodable(finding.waived.reason), "waived_until": finding.waived.expires}
    return data


def remedy_data(remedy: Remedy) -> Data:
    """Return a proposal; what does not apply to it has no key."""
    data: Data = {
        "title": encodable(remedy.title),
        "applicability": remedy.applicability,
        "proved": remedy.proved,
        "proof": encodable(remedy.proof),
        "stays": remedy.stays,
        "edits": _edits(remedy.edits) if remedy.edits else [],
    }
    texts = {name: getattr(remedy, name) for name in ("approach", "path", "elsewhere", "unsafe")}
    data |= {name: encodable(text) for name, text in texts.items() if text}
    lines = {name: getattr(remedy, name) for name in ("leaves", "recipe")}
    data |= {name: [encodable(line) for line in held] for name, held in lines.items() if held}
    if remedy.approach:
        cost = remedy.cost
        data["cost"] = {"packages": cost.packages, "size": cost.size, "rebuild": cost.rebuild}
    return data


def _edits(edits: Sequence[Edit]) -> list[Data]:
    from runworthy.report.edits import edit_data

    return [edit_data(edit) for edit in edits]


def _evidence(evidence: Evidence) -> Data:
    return {"file": encodable(evidence.file), "section": evidence.section or None, "offset": evidence.offset}


def _stretch(stretch: Stretch, *, trace: bool) -> Data:
    data: Data = {
        "object": encodable(stretch.object),
        "machine": stretch.machine or None,
        "loader": encodable(stretch.loader) or None,
        "root": encodable(stretch.root),
        "libc": stretch.libc or None,
        "events": [_event(step) for step in stretch.steps if isinstance(step, Event)],
    }
    if trace:
        data["loaded"] = [{"name": encodable(name), "path": encodable(path)} for name, path in stretch.loaded]
    return data


def _event(event: Event) -> Data:
    data: Data = {"stage": event.stage, "kind": event.kind, "text": encodable(event.text)}
    if event.by:
        data["by"] = encodable(event.by)
    return data


def _need(step: Step, stretch: int) -> Data:
    """Return a need with its answer; what does not apply to it has no key."""
    need = step.need
    data: Data = {
        "stage": step.stage,
        "stretch": stretch,
        "kind": need.kind,
        "name": encodable(need.name),
        "by": encodable(need.by),
        "answer": step.answer.value,
    }
    texts = {
        "version": need.version,
        "file": need.file,
        "met_by": step.met_by,
        "why": step.why,
        "because": step.because,
        "assumption": step.assumption,
        "detail": step.detail,
    }
    data |= {key: encodable(text) for key, text in texts.items() if text}
    if step.answer is Answer.UNMET:
        data["fatal"] = step.fatal
    if step.searched:
        data["searched"] = [_probe(probe) for probe in step.searched]
    data |= {key: True for key, holds in (("lazy", need.lazy), ("weak", need.weak)) if holds}
    return data


def _probe(probe: Probe) -> Data:
    return {"path": encodable(probe.path), "origin": encodable(probe.origin), "outcome": encodable(probe.outcome)}
