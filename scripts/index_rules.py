"""Write ``src/runworthy/rules/_index.py``: the rule modules with what they read, in the order of their application."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import runworthy.rules

INDEX = Path(__file__).parent.parent / "src" / "runworthy" / "rules" / "_index.py"
BEGIN, END = "MODULES: tuple[tuple[str, str], ...] = (", ")\n"


def discover() -> list[ModuleType]:
    """Return every rule module, in the order of application."""
    names = [found.name for found in walk_packages(runworthy.rules.__path__, "runworthy.rules.") if not found.ispkg]
    modules = [import_module(name) for name in names if name.count(".") == 3]
    return sorted((module for module in modules if hasattr(module, "CODE")), key=lambda rule: (rule.ORDER, rule.CODE))


def index(text: str) -> str:
    """Return the text of the index with its table made anew."""
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    rows = [
        f'    ("{rule.__name__.removeprefix("runworthy.rules.")}", "{" ".join(rule.READS)}"),' for rule in discover()
    ]
    return "\n".join([f"{head}{BEGIN}", *rows, f"{END}{tail}"])


def main() -> int:
    """Write the index; with ``--check`` only tell whether it is as it should be."""
    held = INDEX.read_text("utf-8")
    made = index(held)
    if "--check" in sys.argv[1:]:
        print("the index of rules is up to date" if held == made else "the index of rules is out of date")
        return int(held != made)
    INDEX.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
