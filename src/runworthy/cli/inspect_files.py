"""`runworthy inspect`: what the bytes of files say."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from runworthy.model.elf import ElfFile
from runworthy.model.errors import FormatError
from runworthy.model.program import FileFacts

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

CANNOT_TELL = 4

Read = tuple[str, ElfFile | FileFacts | FormatError]
"""A name, and what lies there."""

USAGE = "FILE... [options]"
DESCRIPTION = (
    "Show the facts of files: ELF and what else may be executed, such as APE, PE, Mach-O and scripts; archives and "
    "what they hold, or one member, as app.whl!pkg/_core.so. No target, no opinion. Nothing is executed."
)
EPILOG = "exit codes: 0 every file was read, 2 usage or internal error, 3 no file found, 4 a file could not be read\n"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="programs, libraries, scripts, archives and their members")
    add("--symbols", action="store_true", help="list the dynamic symbols of ELF files too")
    add("--format", choices=("text", "json"), default="text", help="text (the default) or json")
    add("-o", "--output-file", metavar="FILE", help="write the report there")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")


def run(options: Namespace) -> int:
    """Read, report, and return the exit code. Raises UsageError."""
    from runworthy.cli.terminal import complain_of_missing, deliver
    from runworthy.engine import missing_subjects

    if (missing := missing_subjects(options.files)) == options.files:
        return complain_of_missing(missing)
    read = list(_read(options.files))
    text = _json(read, options) if options.format == "json" else _text(read, options)
    deliver(text, options.output_file)
    return CANNOT_TELL if any(map(_is_damaged, read)) else 0


def _read(names: list[str]) -> Iterator[Read]:
    from runworthy.library import inspect

    for name in names:
        try:
            yield name, inspect(name)
        except FormatError as error:
            yield name, error
        except OSError as error:
            yield name, FormatError(error.strerror or "cannot be read", path=name)


def _is_damaged(read: Read) -> bool:
    found = read[1]
    return isinstance(found, FormatError) or (isinstance(found, FileFacts) and bool(found.problem))


def _text(read: list[Read], options: Namespace) -> str:
    from runworthy.cli.terminal import style_for
    from runworthy.report.facts import elf_lines
    from runworthy.report.file_facts import file_lines
    from runworthy.report.words import clean

    style = style_for(options.color, to_file=options.output_file not in (None, "-"))
    blocks = []
    for name, found in read:
        if isinstance(found, FormatError):
            blocks.append([f"{style.severity('error', 'error')}: {clean(str(found))}"])
        elif isinstance(found, FileFacts):
            blocks.append(list(file_lines(name, found, style)))
        else:
            blocks.append(list(elf_lines(name, found, style, symbols=options.symbols)))
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)


def _json(read: list[Read], options: Namespace) -> str:
    import json

    from runworthy import __version__
    from runworthy.report.facts import SCHEMA

    files = [_data(name, found, options) for name, found in read]
    return json.dumps({"schema": SCHEMA, "runworthy": __version__, "files": files}, indent=2) + "\n"


def _data(name: str, found: ElfFile | FileFacts | FormatError, options: Namespace) -> dict[str, object]:
    from runworthy.report.facts import elf_data
    from runworthy.report.file_facts import file_data
    from runworthy.report.words import encodable

    if isinstance(found, FormatError):
        return {"file": encodable(name), "error": {"message": encodable(found.message), "offset": found.offset}}
    if isinstance(found, FileFacts):
        return file_data(name, found)
    return elf_data(name, found, symbols=options.symbols)
