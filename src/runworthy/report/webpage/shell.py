"""The shell of a page that needs nothing else: no network, no other file, and no script to be read.

What comes from subjects is text of strangers. It is escaped where it becomes markup, its control and direction marks
are made visible, and the page's own policy (Content Security Policy Level 3, with hashes) lets nothing run or load that
is not part of it.
"""

from __future__ import annotations

import os
from string import Template

from runworthy.model.errors import UsageError
from runworthy.report.webpage.markup import Html

__all__ = ["filled", "page", "part"]

_REPORT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def page(title: Html, body: str, *, style: str = "", script: str = "") -> str:
    """Return a page. ``style`` is what it has beyond the common one; ``script`` is the only one that may run."""
    style = part("webpage", "page.css") + style
    return filled("webpage", policy=_policy(style, script), title=title, style=style, body=body)


def filled(folder: str, **values: str) -> str:
    """Return the ``page.html`` of a folder with these values in it."""
    return Template(part(folder, "page.html")).substitute(values)


def part(folder: str, name: str) -> str:
    """Return the text of a file of a page. Raises UsageError when this installation lacks it."""
    try:
        with open(os.path.join(_REPORT, folder, name), encoding="utf-8") as text:
            return text.read()
    except FileNotFoundError:
        raise UsageError(f"{folder}/{name} is not in this installation, and the page needs it") from None


def _policy(style: str, script: str) -> str:
    """Return the page's policy: its own style and script, known by their hashes, and nothing else.

    ``require-trusted-types-for`` has browsers refuse a script that turns text into markup. An icon is part of the page,
    for browsers ask a server for one otherwise.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'" if script else "script-src 'none'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _digest(text: str) -> str:
    """Return the hash of an inline element's text, as CSP has it."""
    from base64 import b64encode
    from hashlib import sha256

    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
