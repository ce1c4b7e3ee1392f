"""`runworthy explain`: the page of a finding."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import cast

from runworthy.model.errors import UsageError
from runworthy.rules import Rule

__all__ = ["DESCRIPTION", "EPILOG", "USAGE", "add_arguments", "run"]

USAGE = "[CODE|NAME]... [options]"
DESCRIPTION = "Tell what a finding means, why it happens and what helps. Without a code, list all codes."
EPILOG = "example: runworthy explain RW301\n"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("codes", nargs="*", metavar="CODE|NAME", help="a code (RW301) or a name")
    add("--color", choices=("auto", "always", "never"), default="auto", help="also NO_COLOR and FORCE_COLOR")


def run(options: Namespace) -> int:
    """Print the pages. Raises UsageError for an unknown code."""
    from runworthy.cli.terminal import emit, style_for
    from runworthy.report.page import page_lines
    from runworthy.report.words import table

    rules = _all_rules()
    style = style_for(options.color)
    if not options.codes:
        rows = [(style.paint(rule.CODE, "bold"), rule.SEVERITY, rule.NAME) for rule, _ in rules.values()]
        emit("".join(f"{line}\n" for line in [*table(rows), "", "`runworthy explain CODE` tells more"]))
        return 0
    pages = []
    for wanted in options.codes:
        rule, module = _find(wanted, rules)
        pages.append("".join(f"{line}\n" for line in page_lines(rule, _page(module), style)))
    emit("\n".join(pages))
    return 0


def _all_rules() -> dict[str, tuple[Rule, str]]:
    """Return every rule and the name of its module, by code."""
    from importlib import import_module

    from runworthy.rules._index import MODULES

    found = [(cast("Rule", import_module(f"runworthy.rules.{name}")), name) for name, _ in MODULES]
    return {rule.CODE: (rule, module) for rule, module in sorted(found, key=lambda row: row[0].CODE)}


def _find(wanted: str, rules: dict[str, tuple[Rule, str]]) -> tuple[Rule, str]:
    """Return the rule of a code or a name. Raises UsageError."""
    code = wanted.upper()
    name = wanted.lower().replace("_", "-")
    for rule, module in rules.values():
        if code == rule.CODE or name == rule.NAME:
            return rule, module
    from difflib import get_close_matches

    known = [word for rule, _ in rules.values() for word in (rule.CODE, rule.NAME)]
    near = get_close_matches(code, known, n=2) + get_close_matches(name, known, n=2)
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else "`runworthy explain` lists all codes"
    raise UsageError(f"there is no finding `{wanted}`", hint=hint)


def _page(module: str) -> str:
    """Return the text of the page beside a rule's module."""
    import runworthy.rules

    base = os.path.join(os.path.dirname(os.path.abspath(runworthy.rules.__file__)), *module.split("."))
    directory, slug = os.path.split(base)
    for name in (f"{slug}.md", f"{slug.replace('_', '-')}.md"):
        try:
            with open(os.path.join(directory, name), encoding="utf-8") as page:
                return page.read()
        except FileNotFoundError:
            continue
    raise UsageError(f"the page of {module} is not in this installation")
