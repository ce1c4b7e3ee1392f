"""Run in namespaces with a binfmt_misc of their own: registers handlers, takes them back, prints what there is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from runworthy.model.binfmt import Handler
from runworthy.model.edit import DisableHandler, Edit, RegisterHandler, RunCommand, SwitchHandlers, UnregisterHandler
from runworthy.model.errors import RemedyError
from runworthy.remedies.applying import Ground, apply, recover, undo
from runworthy.remedies.applying.kernel import handlers_at, write_lines
from runworthy.remedies.journal import Journal

__all__ = ["main"]

POINT, HOST = "/proc/sys/fs/binfmt_misc", Ground(root="/", live=True, name="host")
WINE = Handler(name="wine", interpreter="/bin/true", magic=b"MZ")
OTHER = Handler(name="other", interpreter="/bin/true", magic=b"XX", mask=b"\xff\xf0", offset=3, flags="P")
EDITS: dict[str, tuple[Edit, ...]] = {
    "registered": (RegisterHandler(handler=Handler(name="APE", interpreter="/bin/true", magic=b"MZqFpD", flags="F")),),
    "moved up": (RegisterHandler(handler=WINE),),
    "gone": (UnregisterHandler(name="wine"),),
    "off": (DisableHandler(name="other"), SwitchHandlers(on=True)),
    "by a program": (RunCommand(argv=("true",), changes="x", effects=(RegisterHandler(handler=WINE),)),),
}


def main(directory: str) -> None:
    journal = Journal(directory)
    write_lines([(f"{POINT}/register", ":wine:M::MZ::/bin/true:"), (f"{POINT}/register", ":last:E::exe::/bin/true:")])
    write_lines([(f"{POINT}/register", r":other:M:3:XX:\xff\xf0:/bin/true:P")])
    told: dict[str, Any] = {"before": handlers_at(POINT)}
    for name, edits in EDITS.items():
        apply(edits, HOST, journal, allow_unsafe=True)
        now = handlers_at(POINT)
        undo(journal)
        told[name] = [now, handlers_at(POINT)]
    failing = (*EDITS["gone"], DisableHandler(name="none"))
    told["failed"] = [_refused(lambda: apply(failing, HOST, journal, allow_unsafe=True)), handlers_at(POINT)]
    apply(EDITS["gone"], HOST, journal, allow_unsafe=True)
    write_lines([(f"{POINT}/register", ":mine:M::mine::/bin/true:")])
    told["changed since"] = [_refused(lambda: undo(journal)), handlers_at(POINT)]
    told["recovered"] = [len(recover(journal)), handlers_at(POINT)]
    told["all off"] = [_refused(lambda: apply([SwitchHandlers(on=False)], HOST, journal, allow_unsafe=True))]
    apply([SwitchHandlers(on=False)], HOST, journal, allow_unsafe=True, allowed={"switch-binfmt-off"})
    told["asked for"] = dict(handlers_at(POINT))["status"]
    undo(journal)
    told["on again"] = handlers_at(POINT)
    print(json.dumps(told))  # noqa: T201 - to the test


def _refused(act: Callable[[], object]) -> str:
    try:
        act()
    except RemedyError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main(sys.argv[1])
