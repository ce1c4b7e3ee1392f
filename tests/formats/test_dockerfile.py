"""Dockerfiles against BuildKit's own parser, which the package ``dockerfile`` carries."""

from __future__ import annotations

import random
from typing import NamedTuple

import dockerfile as buildkit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runworthy.formats.dockerfile import SIZE_LIMIT, Dockerfile, Instruction, parse_dockerfile
from runworthy.model.errors import FormatError

HANDMADE = (
    'FROM alpine:3.20\nRUN apk add --no-cache curl\nCMD ["sh", "-c", "x"]\n',
    "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN x `\n  y\nCOPY c:\\ d:\\\n",
    "#escape=\\\nFROM a \\\n  # a comment\n\n  AS b\n",
    "FROM a\n# escape=`\nRUN x \\\n y\n",
    "\ufeff# escape=`\nFROM a\nRUN x `\n y\n",
    "FROM a\r\nRUN b \\\r\n  c\r\nRUN d\r\n",
    "FROM a\nRUN <<EOF bash\nset -e\n\\\n# no comment\nEOF\nUSER b\n",
    "FROM a\nCOPY <<one <<-'two' /x/\n1 $a\none\n\tb\n\ttwo\nRUN c\n",
    'FROM a\nRUN cat <<"a b"\nx\na b\nRUN y\n',
    "FROM a\nRUN 3<<EOF x\n1\nEOF\nRUN echo a<<b <<<c $((1<<2))\n",
    'FROM a\nRUN ["cat", "<<EOF"]\nEOF\n',
    "FROM a\nRUN <<EOF\n",
    "FROM a\nRUN x <<E 'not ended\n",
    "from --platform=$BUILDPLATFORM a as Build\nrun --mount=type=cache,target=/x --network=none make\n",
    'FROM a\nRUN --mount=type=bind,source="a b",target=/x\\ y -- echo\nCOPY --from=b --chown=1:1 /a /b\n',
    'FROM a\nENV a b  c\nENV d=e f="g h" i=j\\ k\nLABEL x=y \\\n  z=\'1 2\'\nARG q="w e" r\nARG\n',
    "FROM a\nENV x\n",
    "FROM a\nLABEL a=b c\n",
    'FROM a\nHEALTHCHECK --interval=5s CMD ["x"]\nHEALTHCHECK NONE\nHEALTHCHECK  CMD  curl  x\n',
    "FROM a\nONBUILD RUN <<E\nx\nE\nONBUILD COPY a b\nONBUILD\nONBUILD ONBUILD RUN x\n",
    'FROM a\nSHELL ["powershell", "-c"]\nVOLUME /a /b\nVOLUME ["/c d"]\nEXPOSE 80 90/udp\nWORKDIR /a b\n',
    "FROM a\nRUN [ -f x ] && y\nRUN ['a']\nRUN [1]\n",
    "FROM a\nRUN ['a']\nRUN []\nRUN [\"a\"\n",
    "FROM a\nRUN a\\\\\nRUN b \\ \nc\n\\\n\\\nRUN d\n",
    "FROM a\nWHAT is this\n\\\nRUN x\\\n\n\n\ny\n",
    "# syntax=a\n# syntax=b\nFROM a\n",
    "# escape=x\nFROM a\n",
    "# check=skip=all\n#\n# escape=`\nFROM a\nRUN b `\n",
    "\n\n# only a comment\n",
    "",
    "\\\n",
    "FROM a\nRUN x \\",
    "FROM\u00a0a\nRUN\u3000x\nRUN x\x1c\n \x0bUSER y\x85\nMAINTAINER z\x0c\n",
    'FROM a\nSTOPSIGNAL 9\nENTRYPOINT exec x\nADD ["a b", "c"]\nADD <<x /y\nx\n',
)

PARTS = (
    *(
        "FROM a",
        "from  a as B",
        "RUN x",
        'RUN ["a", "b"]\n',
        "RUN ['a']",
        "ONBUILD ",
        "RUN <<E",
        "<<-E",
        "<<'E'",
        '<<"E F"',
    ),
    *(
        "E\n",
        "E F\n",
        "\tE\n",
        "COPY --from=b",
        "COPY <<a /x",
        '--mount=type=a,b="c d"',
        "--",
        "--x='",
        "'",
        '"',
        "ENV a b",
    ),
    *(
        "ENV a=b",
        "a=b c",
        "LABEL x",
        "ARG A",
        "ARG A=$B",
        "$A",
        "${A:-x}",
        "HEALTHCHECK NONE",
        "HEALTHCHECK --i=1 CMD x",
    ),
    *("USER me", "\v", "\f", "\x1c", "EXPOSE 80 90", 'VOLUME ["/a"]\n', "foo", "&& apk add x", "3<<E"),
    *(
        "<<",
        "<<<E",
        "WORKDIR /a b ",
        "\\",
        "\\\\",
        "`",
        "\n",
        "\n",
        "\n",
        "\n",
        "\r\n",
        " ",
        "\t",
        "# c",
        "#",
        "\\\n",
        "\\\n",
    ),
    *("# escape=`\n", "# syntax=x\n"),
)


class Row(NamedTuple):
    name: str
    lines: tuple[int, int]
    flags: tuple[str, ...]
    listed: bool
    words: tuple[str, ...]
    heredocs: tuple[tuple[str, str], ...]


def theirs(text: str) -> list[Row] | None:
    try:
        commands = buildkit.parse_string(text)
    except buildkit.GoParseError:
        return None
    return [
        Row(
            name=(one.cmd or "").upper(),
            lines=(one.start_line, one.end_line),
            flags=one.flags,
            listed=one.json,
            words=one.value if (one.sub_cmd or one.cmd or "").upper() in KNOWN else (),
            heredocs=() if one.sub_cmd else tuple((heredoc.name, heredoc.content) for heredoc in one.heredocs),
        )
        for one in commands
    ]


KNOWN = frozenset(
    "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER RUN SHELL STOPSIGNAL USER VOLUME "
    "WORKDIR".split()
)


def ours(text: str) -> list[Row] | None:
    try:
        return [_row(one) for one in parse_dockerfile(text.encode()).instructions]
    except FormatError:
        return None


def _row(one: Instruction) -> Row:
    held = one.inner or one
    words = [word.text for word in held.words]
    if held.name in ("ENV", "LABEL") and words:
        pairs = "=" in words[0]
        words = [part for word in words for part in word.split("=", 1)] if pairs else [*words, ""][:2]
    if one.inner is not None and one.inner.name == "ONBUILD":
        words = []  # it puts off nothing that there is
    return Row(
        name=one.name,
        lines=(one.line, one.last_line),
        flags=one.flags,
        listed=held.listed is not None,
        words=(*words, *(held.listed or ())),
        # The package tells no heredocs of what ONBUILD puts off; the lines show that they were read.
        heredocs=() if one.inner else tuple((heredoc.name, heredoc.content) for heredoc in one.heredocs),
    )


@pytest.mark.parametrize("text", HANDMADE)
def test_handmade_files_read_as_buildkit_reads_them(text: str) -> None:
    assert ours(text) == theirs(text)


def test_made_up_files_read_as_buildkit_reads_them() -> None:
    chance = random.Random(20240812)  # noqa: S311 - no secret
    parsed = 0
    for _ in range(4000):
        text = "".join(
            chance.choice(PARTS) + chance.choice(("", "\n", "\n", " ")) for _ in range(chance.randrange(1, 14))
        )
        expected = theirs(text)
        assert ours(text) == expected, text
        parsed += expected is not None
    assert parsed > 2000


def test_what_differs_from_the_older_parser_in_the_package() -> None:
    """Newer ones want nothing behind a list (``json.Unmarshal``); flags are read by letters, and not by bytes."""
    assert parse_dockerfile(b'RUN ["a"] && b').instructions[0].listed is None
    assert parse_dockerfile("COPY --x=é a b".encode()).instructions[0].flags == ("--x=é",)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from((*PARTS, "\udc80", "é")), max_size=20).map("".join))
def test_places_hold_and_no_byte_is_lost(text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    try:
        file = parse_dockerfile(data)
    except FormatError:
        return
    assert file.data == data
    ends = [0]
    for one in file.instructions:
        assert ends[-1] <= one.start < one.end <= len(file.text)
        assert file.place(one.start)[0] == one.line
        assert file.text[one.start : one.end].count("\n") in (one.last_line - one.line, one.last_line - one.line + 1)
        ends.append(one.end)
        for word in one.words:
            held = file.text[word.start : word.end]
            assert held == word.text or file.escape in held
            assert held[0] == word.text[0]
            assert held[-1] == word.text[-1] or file.escape in held


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        file = parse_dockerfile(data)
        assert file.data == data
        file.stages()
    except FormatError:
        pass


@pytest.mark.slow
def test_large_and_deep_files_end() -> None:
    with pytest.raises(FormatError, match="not read"):
        parse_dockerfile(b"#" * (SIZE_LIMIT + 1))
    for text in (
        "RUN " + "[" * 100_000,
        "ONBUILD " * 100_000,
        "RUN " + "\\\n" * 400_000,
        "RUN " + " \\ " * 300_000,
        "ARG A=" + "${A:-" * 100_000 + "\nFROM $A",
        "FROM a\n" * 100_000,
        "RUN " + "<<a " * 100_000,
    ):
        try:
            file = parse_dockerfile(text.encode())
            file.stages()
        except FormatError:
            pass


# -- stages: no parser tells of them; the expectations are those of BuildKit's documentation ------------------------


def stages(text: str) -> list[tuple[str, str, int | None]]:
    return [(one.name, one.image, one.parent) for one in _parsed(text).stages()]


def _parsed(text: str) -> Dockerfile:
    return parse_dockerfile(text.encode())


def test_stages_are_built_on_images_and_on_each_other() -> None:
    text = "FROM golang:1.23 AS Build\nRUN x\nFROM build as test\nFROM alpine:3.20\nCOPY --from=build /a /a\n"
    assert stages(text) == [("build", "golang:1.23", None), ("test", "build", 0), ("", "alpine:3.20", None)]


def test_variables_of_from_come_from_the_args_before_it() -> None:
    assert stages("ARG V=3.20\nARG I=alpine:$V\nFROM $I\n") == [("", "alpine:3.20", None)]
    assert stages("ARG V\nFROM a:${V:-1}\nARG V=2\nFROM a:${V-3}\n") == [("", "a:1", None), ("", "a:3", None)]
    assert stages("ARG V=\nFROM a${V:+b}c${V-d}:${V:-1}\n") == [("", "ac:1", None)]
    assert stages("ARG V=1\nFROM 'a:$V'\n") == [("", "a:$V", None)]
    assert stages("ARG V=1\nFROM a:\\$V\n") == [("", "a:$V", None)]


@pytest.mark.parametrize("word", ["$V", "${V}", "${V#x}", "${V/a/b}", "${V:?no}", "${", "${V", "${}", "$1", "'a"])
def test_what_a_variable_is_that_nobody_sets_is_not_known(word: str) -> None:
    assert stages(f"ARG V\nFROM a:{word}\n") == [("", "", None)]


@pytest.mark.parametrize("line", ["FROM", "FROM a b", "FROM a AS", "FROM a AS b c", "FROM a AS 1b", "FROM a IS b"])
def test_no_such_from_is_taken(line: str) -> None:
    with pytest.raises(FormatError):
        _parsed(f"{line}\n").stages()
