"""The JSON report against its schema, which is taken more strictly here than users need to take it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

import runworthy
from runworthy.model import finding as finding_words
from runworthy.model import trace as trace_words
from runworthy.model.finding import Result, Tree
from runworthy.model.trace import Answer, Event
from runworthy.report.json_report import report_json
from tests.report.made import finding, library, report, result, symbol

SCHEMAS = Path(runworthy.__file__).parent / "report" / "schema"


def strict(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """The schema with every key that it does not name refused."""
    if isinstance(schema, dict):
        closed = {key: strict(value) for key, value in schema.items()}
        if schema.get("type") == "object" and "additionalProperties" not in schema:
            closed["additionalProperties"] = False
        return closed
    return [strict(item) for item in schema] if isinstance(schema, list) else schema


def schema(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


def validate(text: str, name: str = "runworthy.report-1.json") -> Any:  # noqa: ANN401 - JSON
    document = json.loads(text)
    held = [DRAFT202012.create_resource(strict(schema(path.name))) for path in SCHEMAS.glob("*.json")]
    registry = Registry[Any]().with_resources((str(one.id()), one) for one in held)
    Draft202012Validator(strict(schema(name)), registry=registry).validate(document)
    return document


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.name)
def test_schemas_are_schemas(path: Path) -> None:
    held = schema(path.name)
    Draft202012Validator.check_schema(held)
    assert path.name == held["$id"].replace("/", "-") + ".json"


def test_schema_knows_every_word() -> None:
    held = schema("runworthy.report-1.json")["$defs"]
    need = held["need"]["properties"]
    assert tuple(held["stage"]["enum"]) == trace_words.STAGES
    assert tuple(need["kind"]["enum"]) == get_args(trace_words.Kind)
    assert tuple(need["why"]["enum"]) == get_args(trace_words.Why)
    assert need["answer"]["enum"] == [answer.value for answer in Answer]
    assert tuple(held["verdict"]["enum"]) == get_args(finding_words.Verdict)
    assert tuple(held["severity"]["enum"]) == get_args(finding_words.Severity)


@pytest.mark.parametrize("trace", [False, True])
def test_every_shape(*, trace: bool) -> None:
    event = Event(stage="load", kind="path-dropped", text="dropped", by="/subject/app")
    steps = (event, library(), symbol(), symbol("gone", Answer.UNMET, detail="why", fatal=False))
    odd = symbol("later", Answer.UNKNOWN, why="outside-core", because="library:libx.so.1", assumption="4 KiB pages")
    document = validate(
        report_json(
            report(
                result("ubuntu:20.04", "fails", finding(), steps=(*steps, odd), arch_stated=False),
                result("x", "unknown", hardware=None, libc="", as_of="", notes=("n",), stage="exec"),
                result("debian:12", "runs"),
            ),
            trace=trace,
        )
    )
    assert document["schema"] == "runworthy.report/1"
    assert document["runworthy"] == runworthy.__version__
    first = document["results"][0]
    assert [need["name"] for need in first["needs"]] == (
        ["libx.so.1", "puts", "gone", "later"] if trace else ["libx.so.1", "gone", "later"]
    )
    assert first["machine"]["assumed"] == ["arch", "cpu"]
    assert document["summary"] == {
        "cells": 3,
        "subjects": 1,
        "targets": 3,
        "verdicts": {"runs": 1, "risky": 0, "unknown": 1, "fails": 1},
        "findings": {"error": 1, "warning": 0, "note": 0},
        "waived": 0,
        "causes": [
            {
                "code": "RW301",
                "name": "too-new-version",
                "severity": "error",
                "message": "a newer glibc is needed",
                "items": [{"name": "GLIBC_2.34", "subjects": 1}],
                "target": "ubuntu:20.04",
                "subjects": ["app"],
            }
        ],
        "trees": [],
    }


def test_causes_are_of_a_target_and_the_largest_comes_first() -> None:
    def cell(subject: str, target: str, *causes: str) -> Result:
        found = [finding(cause=cause, severity="note" if cause == "c" else "error") for cause in causes]
        return result(target, "fails", *found, subject=subject)

    cells = (cell("t/1", "x", "c", "a"), cell("t/1", "y", "a"), cell("t/2", "x", "c", "b"), cell("t/3", "x", "c", "b"))
    document = validate(report_json(report(*cells)))
    told = [(cause["target"], cause["message"], cause["subjects"]) for cause in document["summary"]["causes"]]
    assert told == [
        ("x", "b", ["t/2", "t/3"]),
        ("x", "a", ["t/1"]),
        ("x", "c", ["t/1", "t/2", "t/3"]),
        ("y", "a", ["t/1"]),
    ]


def test_directories() -> None:
    tree = Tree(name="t\udcff", files=9, subjects=1, passed_over={"core file": 2}, aliases={"t/a": ("t/b", "t/c")})
    cells = (result("x", "runs", subject="t/a"), result("x", "runs", subject="alone"))
    document = validate(report_json(report(*cells, trees=(tree,))))
    assert [cell["also"] for cell in document["results"]] == [["t/b", "t/c"], []]
    assert document["summary"]["trees"] == [
        {"name": "t\\xff", "files": 9, "subjects": 1, "passed_over": {"core file": 2}}
    ]


def test_every_unresolved_strong_symbol_is_listed() -> None:
    steps = tuple(symbol(f"s{n}", Answer.UNMET) for n in range(500))
    document = validate(report_json(report(result("ubuntu:20.04", "fails", steps=steps))))
    assert len(document["results"][0]["needs"]) == 500


def test_names_that_are_no_text_stay_readable() -> None:
    text = report_json(report(result("ubuntu:20.04", "fails", finding("\udcff\n"), subject="a\udc80b\n")))
    document = validate(text)
    assert document["results"][0]["subject"] == "a\\x80b\n"
    text.encode("ascii")
