"""What may be registered, and what an entry then says of itself: the parsers against the kernel of this machine."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

import pytest

from runworthy.formats.binfmt.entry import parse_entry
from runworthy.formats.binfmt.registration import RegistrationError, format_registration, parse_registration
from runworthy.model.binfmt import Handler
from runworthy.model.errors import FormatError
from tests.formats.registrations import ROWS, generated
from tests.judges.kernel import Kernel, requires_kernel

pytestmark = pytest.mark.judge

GENERATED = 12_000
TAKEN_AT_LEAST = 1_000


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with requires_kernel() as kernel:
        yield kernel


def opened(interpreter: str) -> int:
    """Return the errno with which the kernel opens an interpreter that is to be executed (do_open_execat)."""
    try:
        path = os.fsencode(interpreter)
        mode = os.stat(path).st_mode
        closed = os.statvfs(path).f_flag & os.ST_NOEXEC
    except OSError as error:
        return error.errno or errno.EIO
    return 0 if stat.S_ISREG(mode) and mode & 0o111 and not closed else errno.EACCES


def expected(line: bytes) -> tuple[int, Handler | None]:
    """Return the errno that the parser tells, and the handler where it is 0. F opens before a name is looked up."""
    try:
        handler = parse_registration(line)
    except RegistrationError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.EEXIST):
            return error.errno, None
        other = b"n" if line[:1] != b"n" else b"m"
        _, _, rest = line[1:].partition(line[:1])
        renamed = parse_registration(line[:1] + other * 11 + line[:1] + rest)
        return ("F" in renamed.flags and opened(renamed.interpreter)) or error.errno, None
    number = opened(handler.interpreter) if "F" in handler.flags else 0
    return number, None if number else handler


def differences(kernel: Kernel, line: bytes) -> Iterator[str]:
    """Yield where the kernel and the parsers differ about a line; the kernel has no handlers before and after."""
    number, handler = expected(line)
    if (told := kernel.register(line)) != number:
        yield f"{line!r}: the kernel says {told}, the parser {number}"
        if not told:
            kernel.clear()
        return
    if handler is None:
        return
    yield from entry_differences(kernel, line, handler)
    again = format_registration(handler)
    if kernel.register(again):
        yield f"{line!r}: written again as {again!r} it is refused"
    else:
        yield from entry_differences(kernel, again, handler)


def entry_differences(kernel: Kernel, line: bytes, handler: Handler) -> Iterator[str]:
    """Yield where the entry that a line has made is another handler; remove it."""
    if (names := kernel.entries()) != [handler.name]:
        yield f"{line!r}: made {names}, not {handler.name!r}"
    text = kernel.read(handler.name)
    try:
        if (read := parse_entry(handler.name, text)) != handler:
            yield f"{line!r}: {text!r} reads as {read}, not {handler}"
    except FormatError as error:
        yield f"{line!r}: {text!r}: {error}"
    if kernel.write(handler.name, b"-1"):
        yield f"{line!r}: cannot be deleted"


@pytest.mark.parametrize(("name", "line"), ROWS)
def test_rows(kernel: Kernel, name: str, line: bytes) -> None:
    number, _ = expected(line)
    assert errno.errorcode.get(number, "") == name
    assert list(differences(kernel, line)) == []


def test_generated_lines(kernel: Kernel) -> None:
    found: list[str] = []
    taken = 0
    # Kernels before 2026 take a flag as the delimiter where a newline ends the line.
    passed_over = b"" if kernel.register(b"PnamePMPPMZPP/bin/trueP\n") else b"POCF"
    kernel.clear()
    for line in generated(6, GENERATED):
        if line and line[0] in passed_over:
            continue
        taken += expected(line)[0] == 0
        found += differences(kernel, line)
    assert found == []
    assert taken >= TAKEN_AT_LEAST


def test_names_that_are_taken(kernel: Kernel) -> None:
    line = b":one:M::MZ::/bin/true:"
    assert [kernel.register(line), kernel.register(line)] == [0, errno.EEXIST]
    assert kernel.register(b":one:M::MZ::/nonexistent:F") == errno.ENOENT
    assert kernel.register(b":register:M::MZ::/nonexistent:F") == errno.ENOENT
    kernel.clear()
    assert kernel.entries() == []


def test_status_and_order(kernel: Kernel) -> None:
    for name in (b"b", b"a", b"c"):
        assert kernel.register(b":%s:E::%s::/bin/true:" % (name, name)) == 0
    assert kernel.write("a", b"0") == 0
    handlers = [parse_entry(name, kernel.read(name)) for name in kernel.entries()]
    kernel.clear()
    assert [(handler.name, handler.enabled) for handler in handlers] == [("c", True), ("a", False), ("b", True)]


def test_texts_of_two_handlers(kernel: Kernel) -> None:
    """Two registrations that the kernel describes in the same words are told to be unreadable, not guessed."""
    texts = []
    for interpreter, extension in ((b"/i\nflags: \nextension .b", b"c"), (b"/i", b"b\nflags: \nextension .c")):
        assert kernel.register(b",twin,E,,%s,,%s," % (extension, interpreter)) == 0
        texts.append(kernel.read("twin"))
        assert kernel.write("twin", b"-1") == 0
    assert texts[0] == texts[1]
    with pytest.raises(FormatError, match="more than one handler"):
        parse_entry("twin", texts[0])
