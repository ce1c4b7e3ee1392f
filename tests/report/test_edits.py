"""Remedies in reports: every kind of edit is in the schema, and a person sees the best first."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator

from runworthy.model.binfmt import Handler
from runworthy.model.edit import (
    BringFile,
    BringLibrary,
    CopyFile,
    DisableHandler,
    Edit,
    EditText,
    EnableHandler,
    InstallPackages,
    LinkFile,
    PatchBytes,
    PatchElf,
    RegisterHandler,
    RemoveDirectory,
    RemoveFile,
    RemovePackages,
    RunCommand,
    SetMode,
    ShareFile,
    SwitchHandlers,
    UnpackPackage,
    UnregisterHandler,
    WriteFile,
    WriteLoader,
    kind,
)
from runworthy.model.finding import Remedy
from runworthy.report.edits import edit_data
from runworthy.report.finding import finding_lines
from tests.report.made import finding
from tests.report.test_document import schema

APE = Handler(name="APE\udcff", interpreter="/usr/bin/ape", magic=b"MZqFpD", flags="PF")
EVERY: tuple[Edit, ...] = (
    WriteFile(path="/etc/x\udcff", content=b"text\n"),
    WriteLoader(path="/usr/bin/ape", content=b"\x7fELF\0\xff", source="out of app"),
    CopyFile(path="/a", source="/b", head=b"\x7fELF\xff"),
    BringFile(path="/lib/a.so", source="/a.so", sha256="0" * 64, origin="liba.so out of a.deb"),
    EditText(path="/a", before=b"1", after=b"2", what="differs"),
    PatchBytes(path="/a", offset=4, before=b"\7", after=b"\6", what="the stack is not executable"),
    PatchElf(path="/a", arguments=("--set-rpath", "/b"), before="0" * 64, made="/m", after="1" * 64),
    UnpackPackage(archive="/a.deb", package="a", sha256="0" * 64, vouched="given"),
    BringLibrary(path="/lib/liba.so.1", library="liba.so.1", arch="x86_64", system="alpine:3.20"),
    RemoveFile(path="/a"),
    RemoveDirectory(path="/a"),
    LinkFile(path="/a", text="/dev/null"),
    SetMode(path="/a", mode=0o755),
    RegisterHandler(handler=APE),
    UnregisterHandler(name="APE"),
    DisableHandler(name="APE"),
    EnableHandler(name="APE"),
    SwitchHandlers(on=False),
    RunCommand(argv=("a", "b"), changes="c", undo=("d",), effects=(RegisterHandler(handler=APE),)),
    InstallPackages(manager="apt", names=("a",), with_them=("b",)),
    RemovePackages(manager="apt", names=("a",), effects=(RemoveFile(path="/a"),)),
    ShareFile(paths=("/a\udcff", "/b"), kept="/c", how="ranges", size=9, frees=4, ranges=((0, 4), (5, 2))),
)


def validator() -> Draft202012Validator:
    held: dict[str, Any] = schema("runworthy.report-1.json")
    return Draft202012Validator({"$ref": "#/$defs/edit", "$defs": held["$defs"]})


def test_every_kind_is_tried_and_in_the_schema() -> None:
    kinds = [kind(edit) for edit in EVERY]
    assert {type(edit) for edit in EVERY} == set(get_args(Edit))
    assert schema("runworthy.report-1.json")["$defs"]["edit"]["properties"]["kind"]["enum"] == kinds


@pytest.mark.parametrize("edit", EVERY, ids=kind)
def test_data(edit: Edit) -> None:
    data = json.loads(json.dumps(edit_data(edit)).encode())
    validator().validate(data)
    known = schema("runworthy.report-1.json")["$defs"]["edit"]["properties"]
    assert set(data) <= set(known)


def test_bytes_are_told_by_their_hash() -> None:
    loader = edit_data(EVERY[1])
    assert "text" not in loader
    assert (loader["size"], len(str(loader["sha256"]))) == (6, 64)
    assert edit_data(EVERY[0])["text"] == "text\n"
    assert (
        edit_data(next(one for one in EVERY if isinstance(one, RegisterHandler)))["registration"]
        == ":APE\\xff:M::MZqFpD::/usr/bin/ape:PF"
    )


def test_three_remedies_are_shown_and_all_with_their_edits_when_asked() -> None:
    remedies = tuple(Remedy(title=f"remedy {n}", proved=True, edits=EVERY[:1]) for n in range(5))
    lines = finding_lines(finding("it is so", lines=(), notes=(), remedies=remedies))
    assert [line for line in lines if line.startswith("help")] == [
        "help: remedy 0  (manual, proved)",
        "help: remedy 1  (manual, proved)",
        "help: remedy 2  (manual, proved); -v tells 2 more",
    ]
    told = finding_lines(finding("it is so", lines=(), notes=(), remedies=remedies), everything=True)
    assert told[-2:] == ["help: remedy 4  (manual, proved)", "   | write /etc/x\\xff"]
