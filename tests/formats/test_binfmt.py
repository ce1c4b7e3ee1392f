"""Registrations and entries of binfmt_misc. What the kernel makes of the same lines: tests/differential."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runworthy.formats.binfmt.entry import parse_entry
from runworthy.formats.binfmt.registration import RegistrationError, format_registration, parse_registration
from runworthy.model.binfmt import Handler
from runworthy.model.errors import FormatError
from tests.formats.registrations import ROWS, generated


@pytest.mark.parametrize(("name", "line"), ROWS)
def test_rows(name: str, line: bytes) -> None:
    if not name:
        parse_registration(line)
        return
    with pytest.raises(RegistrationError) as caught:
        parse_registration(line)
    assert errno.errorcode[caught.value.errno] == name
    assert caught.value.message.startswith(f"{name}: ")
    assert caught.value.at("/etc/binfmt.d/a.conf").path == "/etc/binfmt.d/a.conf"


@pytest.mark.parametrize(
    ("line", "handler"),
    [
        (
            b":APE:M::MZqFpD::/usr/bin/ape:FP",
            Handler(name="APE", interpreter="/usr/bin/ape", magic=b"MZqFpD", flags="PF"),
        ),
        (
            rb"|q|M|18|\x7f\x00A|\xff\xfe\x00|/usr/bin/two words|CC" + b"\n",
            Handler(
                name="q",
                interpreter="/usr/bin/two words",
                magic=b"\x7f\0A",
                mask=b"\xff\xfe\0",
                offset=18,
                flags="OC",
            ),
        ),
        (b":w:E:9:exe:?:rel:", Handler(name="w", interpreter="rel", extension="exe")),
        (rb":b:M::\n\\x41\x41::/x:", Handler(name="b", interpreter="/x", magic=rb"\n\\x41A")),
        (b":\xff:M::M\0Z:\0:/x:", Handler(name="\udcff", interpreter="/x", magic=b"M")),
    ],
)
def test_what_a_line_says(line: bytes, handler: Handler) -> None:
    assert parse_registration(line) == handler
    assert parse_registration(line, "/etc/binfmt.d/a.conf").origin == "/etc/binfmt.d/a.conf"
    assert parse_registration(format_registration(handler)) == handler


@pytest.mark.parametrize(
    ("line", "words", "offset"),
    [
        (b":a:M:1x:MZ::/bin/true:", "the offset is no decimal number", 5),
        (b":a:M::MZ:\\xff\\xff\\xff:/bin/true:", "the mask has 3 bytes, the magic 2", 9),
        (b":a:M::MZ::/bin/true:PX", "after the flags", 21),
        (b":a:M::\\xgg::/bin/true:", "two hexadecimal digits in the magic", 6),
        (b":a:M::MZ::/bin/true", "the delimiter before the flags is missing", 19),
    ],
)
def test_refusals_tell_the_rule_and_the_place(line: bytes, words: str, offset: int) -> None:
    with pytest.raises(RegistrationError, match=words) as caught:
        parse_registration(line)
    assert caught.value.offset == offset


def test_how_lines_are_written() -> None:
    ape = Handler(name="APE", interpreter="/usr/bin/ape", magic=b"MZqFpD", flags="PF")
    assert format_registration(ape) == b":APE:M::MZqFpD::/usr/bin/ape:PF"
    odd = Handler(name="a:b", interpreter="/x,y", magic=b"\x7fE:\\\xff", mask=b"\xff\0\xff\xff\xff", offset=3)
    assert format_registration(odd) == rb";a:b;M;3;\x7fE:\x5c\xff;\xff\x00\xff\xff\xff;/x,y;"
    long = Handler(name="l", interpreter="/x", magic=bytes(range(256)), mask=b"\xff" * 256)
    assert len(format_registration(long)) <= 1920
    assert parse_registration(format_registration(long)) == long


@pytest.mark.parametrize(
    "handler",
    [
        Handler(name="a", interpreter="/x"),
        Handler(name="a", interpreter="/bin/true", magic=b"MZ", extension="exe"),
        Handler(name="a", interpreter="/bin/true", extension="exe", mask=b"\xff"),
        Handler(name="a", interpreter="/bin/true", extension="exe", offset=3),
        Handler(name="a", interpreter="/bin/true", magic=b"MZ", flags="FP"),
        Handler(name="a", interpreter="/bin/true", magic=b"MZ", flags="C"),
        Handler(name="a", interpreter="/bin/true\0", magic=b"MZ"),
        Handler(name="a", interpreter="/" + "i" * 1920, magic=b"MZ"),
        Handler(name="a/b", interpreter="/bin/true", magic=b"MZ"),
        Handler(name="", interpreter="/bin/true", magic=b"MZ"),
        Handler(name="status", interpreter="/bin/true", magic=b"MZ"),
        Handler(name="a", interpreter="/bin/true", magic=b"MZ", offset=-1),
        Handler(name="a", interpreter="/bin/true", magic=b"MZ", offset=255),
    ],
)
def test_no_line_for_what_cannot_be_registered(handler: Handler) -> None:
    with pytest.raises(RegistrationError):
        format_registration(handler)


_TEXT = st.binary(min_size=1, max_size=40).map(lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
_PLAIN = _TEXT.filter(lambda text: text not in ("", ".", "..") and "/" not in text)
_MAGIC = st.binary(min_size=1, max_size=256).flatmap(
    lambda magic: st.tuples(
        st.just(magic),
        st.one_of(st.just(b""), st.binary(min_size=len(magic), max_size=len(magic))),
        st.integers(0, 256 - len(magic)),
        st.just(""),
    )
)
_EXTENSION = st.tuples(st.just(b""), st.just(b""), st.just(0), _PLAIN)


@st.composite
def handlers(draw: st.DrawFn) -> Handler:
    """Draw a handler that the kernel would take."""
    magic, mask, offset, extension = draw(st.one_of(_MAGIC, _EXTENSION))
    held = draw(st.sets(st.sampled_from("POCF")))
    return Handler(
        name=draw(_PLAIN),
        interpreter="/" + draw(_TEXT),
        magic=magic,
        mask=mask,
        offset=offset,
        extension=extension,
        flags="".join(one for one in "POCF" if one in held or (one == "O" and "C" in held)),
    )


def entry_text(handler: Handler) -> str:
    """Return what the kernel's entry_status prints."""
    lines = ["enabled" if handler.enabled else "disabled", f"interpreter {handler.interpreter}"]
    lines.append(f"flags: {handler.flags}")
    if handler.extension:
        lines.append(f"extension .{handler.extension}")
    else:
        lines += [f"offset {handler.offset}", f"magic {handler.magic.hex()}"]
        lines += [f"mask {handler.mask.hex()}"] if handler.mask else []
    return "".join(f"{line}\n" for line in lines)


@given(handlers())
def test_lines_and_entries_say_the_same(handler: Handler) -> None:
    assert parse_registration(format_registration(handler)) == handler
    assert parse_entry(handler.name, entry_text(handler)) == handler


@given(raw=st.binary(max_size=60), begun=st.booleans())
def test_any_line(raw: bytes, *, begun: bool) -> None:
    try:
        handler = parse_registration(b":a:M::" + raw if begun else raw)
    except RegistrationError:
        return
    assert parse_registration(format_registration(handler)) == handler


def test_generated_lines_are_taken_and_refused() -> None:
    outcomes = set()
    for line in generated(1, 1500):
        try:
            handler = parse_registration(line)
        except RegistrationError as error:
            outcomes.add(error.errno)
            continue
        outcomes.add(0)
        assert parse_registration(format_registration(handler)) == handler
        assert parse_entry(handler.name, entry_text(handler)) == handler
    assert outcomes == {0, errno.EINVAL, errno.ENAMETOOLONG, errno.EEXIST}


# -- entries ---------------------------------------------------------------------------------

ENTRY = "enabled\ninterpreter /usr/bin/qemu\nflags: POCF\noffset 4\nmagic 7f454c46\nmask ffffff00\n"


def test_entry() -> None:
    qemu = Handler(
        name="qemu", interpreter="/usr/bin/qemu", flags="POCF", offset=4, magic=b"\x7fELF", mask=b"\xff\xff\xff\0"
    )
    assert parse_entry("qemu", ENTRY) == qemu
    other = parse_entry("w", "disabled\ninterpreter C:\\wine \r\nflags: \nextension .exe\n")
    assert other == Handler(name="w", interpreter="C:\\wine \r", extension="exe", enabled=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "enabled",
        "enabled\n",
        ENTRY[:-1],
        ENTRY[: ENTRY.index("mask")] + "mask \n",
        ENTRY.replace("enabled", "Enabled"),
        ENTRY.replace("interpreter /usr/bin/qemu", "interpreter "),
        ENTRY.replace("interpreter", "bpf"),
        ENTRY.replace("POCF", "FP"),
        ENTRY.replace("POCF", "POCFB"),
        ENTRY.replace("offset 4", "offset 255"),
        ENTRY.replace("offset 4", "offset -4"),
        ENTRY.replace("offset 4", "offset ٤"),
        ENTRY.replace("offset 4", "offset " + "4" * 5000),
        ENTRY.replace("7f454c46", "7f454c4"),
        ENTRY.replace("7f454c46", "7f 45 4c 46"),
        ENTRY.replace("7f454c46", "7f454c"),
        ENTRY.replace("magic", "Magic"),
        ENTRY + "more\n",
        "enabled\ninterpreter /x\nflags: \nextension .\n",
        "enabled\ninterpreter /x\nflags: \nextension .a/b\n",
        "enabled\ninterpreter /x\nflags: \nextension .a\nflags: \nextension .b\n",
        "enabled\ninterpreter " + "\nflags: " * 500 + "\n",
        "enabled\ninterpreter " + "x" * 100_000,
    ],
)
def test_texts_of_no_handler(text: str) -> None:
    with pytest.raises(FormatError):
        parse_entry("name", text)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_names_of_no_handler(name: str) -> None:
    with pytest.raises(FormatError, match="no name"):
        parse_entry(name, ENTRY)
