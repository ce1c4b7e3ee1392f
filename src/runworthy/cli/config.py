"""`runworthy config`: what the project's file says, and the schema of such files for editors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runworthy.cli.options import add_project
from runworthy.model.errors import UsageError

if TYPE_CHECKING:
    from runworthy.configuration.model import Configuration, Place, Value
    from runworthy.report.words import Style

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[--schema] [options]"
DESCRIPTION = """\
Tell which file states what is checked here, what it says and in which line: subjects with the paths that they come to,
targets, options, sets, waivers. With --schema write the JSON Schema that editors take for runworthy.toml."""
EPILOG = "example: runworthy config --schema > runworthy.schema.json\n"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--schema", action="store_true", help="the JSON Schema of the file, in place of what it says")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto",
        help="also NO_COLOR and FORCE_COLOR")  # fmt: skip
    add_project(parser)


def run(options: Namespace) -> int:
    """Print the schema, or what the file says. Raises UsageError where there is none."""
    from runworthy.cli.terminal import emit, emit_blocks, style_for

    if options.schema:
        from runworthy.configuration.schema import schema_json

        emit(schema_json())
        return 0
    from runworthy.cli.sources import project_of

    project = project_of(options)
    if project is None:
        hint = "write a runworthy.toml, or [tool.runworthy] in pyproject.toml; docs/configuration.md shows how"
        raise UsageError("no project's file is here or above", hint=hint)
    emit_blocks(block for block in _blocks(project, style_for(options.color)) if block)
    return 0


def _blocks(project: Configuration, style: Style) -> Iterator[list[str]]:
    from runworthy.configuration.checking import own_options, parts
    from runworthy.report.words import clean, listed

    yield [style.paint(clean(project.name), "bold"), *(f"  note: {clean(note)}" for note in project.notes)]
    own = own_options(project)
    ends = {name: value for name, value in project.options.items() if name not in own}
    for title, table, values in (("options", (), own), ("exit code", (), ends), ("floor", ("floor",), project.floor)):
        yield _titled(title, [_row(project, (*table, name), name, value) for name, value in values.items()], style)
    sets = [_row(project, ("targets", name), f"@{name}", held) for name, held in project.sets.items()]
    yield _titled("sets", sets, style)
    for check, part in zip(project.checks, parts(project, (), {}), strict=True):
        rows = [("subjects", clean(listed(part.subjects, 8)) or "none", _line(project, (*check.place, "subjects")))]
        rows += [("on", clean(listed(part.targets, 8)), "")] if part.targets else []
        rows += [
            _row(project, (*check.place, name), name, value)
            for name, value in check.options.items()
            if check.place and (*check.place, name) in project.lines and name != "on"
        ]
        yield _titled("check", rows, style)
    waivers = [
        (", ".join(waiver.codes), f"{waiver.reason}; expires {waiver.expires}", f"line {waiver.line}")
        for waiver in project.waivers
    ]
    yield _titled("waivers", [(clean(codes), clean(words), line) for codes, words, line in waivers], style)


def _titled(title: str, rows: list[tuple[str, str, str]], style: Style) -> list[str]:
    from runworthy.report.words import table

    return [style.paint(title, "bold"), *(f"  {line}" for line in table(rows))] if rows else []


def _row(project: Configuration, place: Place, name: str, value: Value) -> tuple[str, str, str]:
    from collections.abc import Mapping

    from runworthy.report.words import clean

    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, Mapping):
        text = " ".join(f"{key}={held}" for key, held in value.items())
    else:
        text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return name, clean(text), _line(project, place)


def _line(project: Configuration, place: Place) -> str:
    line = project.line(place)
    return f"line {line}" if line else ""
