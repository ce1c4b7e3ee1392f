"""Dockerfiles: instructions with the places of their words, stages, and the images they are built on.

Source of the grammar: BuildKit's ``frontend/dockerfile/parser`` (``parser.go``, ``split_command.go``,
``line_parsers.go``, ``directives.go``) for lines, flags, words and heredocs, ``shell/lex.go`` for variables, and
``instructions/parse.go`` and ``dockerfile2llb/convert.go`` for stages. The text is kept as it is, so that who edits it
changes nothing but what must change.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from runworthy.model.errors import FormatError
from runworthy.model.records import dataclass

__all__ = [
    "SIZE_LIMIT",
    "Arguments",
    "Dockerfile",
    "Heredoc",
    "Instruction",
    "Stage",
    "Variable",
    "Word",
    "parse_dockerfile",
]

SIZE_LIMIT = 1 << 20
"""Of a Dockerfile, in bytes: the longest that are seen have a few thousand lines."""

# What Go's unicode.IsSpace takes for space; Python's str.isspace takes four control characters more.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_BLANK = re.compile(r"[\t\v\f\r ]+")
_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*")
_DIRECTIVES = frozenset(("syntax", "escape", "check"))
_HEREDOC = re.compile(r"([0-9]*)<<(-?)([^<]*)", re.DOTALL)
_WITH_HEREDOC = frozenset(("ADD", "COPY", "RUN"))
_WITH_JSON = frozenset(("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"))
_TEXTS = frozenset(("CMD", "ENTRYPOINT", "MAINTAINER", "RUN", "SHELL", "STOPSIGNAL", "USER", "WORKDIR"))
"""What takes the rest of the line as one text, where that is no list in JSON."""
_LISTS = frozenset(("ADD", "COPY", "EXPOSE", "FROM", "VOLUME"))
_PAIRS = frozenset(("ENV", "LABEL"))
_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_VARIABLE = re.compile(r"[^\W\d]\w*")
_OPERATOR = re.compile(r":?[-+?]")
_DEPTH = 16


class Word(NamedTuple):
    """A word as it is written, and where in the text it stands (``start`` to ``end``, in characters)."""

    text: str
    start: int
    end: int


class Heredoc(NamedTuple):
    """A text that stands below its instruction. ``strips`` its leading tabs (``<<-``), ``expands`` variables in it."""

    name: str
    content: str
    strips: bool
    expands: bool


class Arguments(NamedTuple):
    """What an instruction says. ``name`` is in capitals.

    ``words`` are its arguments: one for those that take the rest of the line as a text; ``listed`` are the strings of
    an exec form instead, None where it has none. ``inner`` is what ONBUILD puts off.
    """

    name: str
    flags: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()
    listed: tuple[str, ...] | None = None
    inner: Arguments | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction, with everything that belongs to it from ``start`` to ``end`` (its last newline included).

    The fields that :class:`Arguments` has too are explained there. ``line`` and ``last_line`` count from 1.
    """

    name: str
    start: int
    end: int
    line: int
    last_line: int
    flags: tuple[str, ...] = ()
    words: tuple[Word, ...] = ()
    listed: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()
    inner: Arguments | None = None

    def flag(self, name: str) -> str:
        """Return the value of a flag (``from`` for ``--from=base``), empty where it is not given."""
        start = f"--{name}="
        return next((one[len(start) :] for one in self.flags if one.startswith(start)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one FROM begins.

    ``written`` is the word that names its image or stage, ``image`` what that comes to with the defaults of the ARGs
    before it, empty where that is not known; ``variable`` is the one variable in it that an ARG gives a default, and
    ``parent`` the stage that it is built on, None where it is an image. ``instructions`` are those after FROM.
    """

    index: int
    name: str
    start: Instruction
    written: Word
    image: str
    variable: Variable | None = None
    platform: str = ""
    parent: int | None = None
    instructions: tuple[Instruction, ...] = ()


class Variable(NamedTuple):
    """A variable within a word: what stands ``before`` and ``after`` its value, and the ARG's default."""

    name: str
    before: str
    after: str
    default: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """A parsed file.

    ``text`` holds every byte of it (UTF-8, others as surrogates); ``escape`` is a backslash or a grave accent.
    """

    text: str
    escape: str
    instructions: tuple[Instruction, ...]

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return self.text.encode("utf-8", "surrogateescape")

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of a place in the text, both from 1."""
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)

    def stages(self) -> tuple[Stage, ...]:
        """Return its stages in their order. Raises FormatError where FROM is no such instruction."""
        return tuple(_stages(self))


def parse_dockerfile(data: bytes) -> Dockerfile:
    """Return a file's instructions. Raises FormatError where BuildKit would refuse to parse it."""
    if len(data) > SIZE_LIMIT:
        raise FormatError(f"a Dockerfile of {len(data)} bytes is not read")
    text = data.decode("utf-8", "surrogateescape")
    parser = _Parser(text)
    found = tuple(parser.instructions())
    if not found:
        raise FormatError("there is no instruction in it")
    return Dockerfile(text=text, escape=parser.escape, instructions=found)


# -- lines -----------------------------------------------------------------------------------


class _Line:
    """An instruction's line, put together from those that are continued, which knows where each character stands."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._at: list[int] = []
        self._offsets: list[int] = []
        self._size = 0

    def add(self, part: str, offset: int) -> None:
        if part:
            self._parts.append(part)
            self._at.append(self._size)
            self._offsets.append(offset)
            self._size += len(part)

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def offset(self, at: int) -> int:
        """Return where the character at ``at`` stands in the file."""
        part = bisect_right(self._at, at) - 1
        return self._offsets[part] + at - self._at[part]

    def word(self, text: str, start: int, end: int) -> Word:
        """Return a word of the line; ``start`` is less than ``end``."""
        return Word(text, self.offset(start), self.offset(end - 1) + 1)


class _Parser:
    def __init__(self, text: str) -> None:
        self.escape = "\\"
        self._text = text
        self._lines = _split(text)
        self._next = self._offset = 0
        self._seen: set[str] | None = set()

    def instructions(self) -> Iterator[Instruction]:
        while self._next < len(self._lines):
            start, raw = self._take()
            bare = raw.rstrip("\r\n")
            if start == 0:
                bare = bare.removeprefix("\ufeff")
            trimmed = bare.lstrip(_SPACE)
            self._directive(trimmed)
            if trimmed.startswith("#"):
                continue
            first = self._next
            line = _Line()
            more = self._add(line, trimmed, start + len(raw.rstrip("\r\n")) - len(trimmed))
            if not more and not line.text:
                continue
            while more and self._next < len(self._lines):
                at, raw = self._take()
                part = raw.rstrip("\r\n")
                inner = part.lstrip(_SPACE)
                if inner and not inner.startswith("#"):
                    more = self._add(line, part, at)
            yield self._instruction(line, start, first)

    def _take(self) -> tuple[int, str]:
        """Return the next line and where it begins."""
        line, offset = self._lines[self._next], self._offset
        self._next += 1
        self._offset += len(line)
        return offset, line

    def _add(self, line: _Line, part: str, offset: int) -> bool:
        """Add a part; return whether the line goes on: it ends with one escape character, and not with two."""
        bare = part.rstrip(" \t")
        more = bare.endswith(self.escape) and bare[-2:-1] != self.escape
        line.add(bare[:-1] if more else part, offset)
        return more

    def _directive(self, line: str) -> None:
        """Heed a directive: they stand above everything else, other comments included."""
        if self._seen is None:
            return
        found = _DIRECTIVE.fullmatch(line[1:].lstrip(_SPACE)) if line.startswith("#") else None
        name = found[1].lower() if found else ""
        if found is None or name not in _DIRECTIVES:
            self._seen = None
            return
        if name in self._seen:
            raise FormatError(f"line {self._next}: only one {name} directive can be used")
        self._seen.add(name)
        if name == "escape":
            if found[2] not in ("\\", "`"):
                raise FormatError(f"line {self._next}: {found[2]!r} is no escape character, \\ and ` are")
            self.escape = found[2]

    def _instruction(self, line: _Line, start: int, first: int) -> Instruction:
        try:
            made = _arguments(line, 0, self.escape)
            heredocs = tuple(self._heredocs(line.text)) if _takes_heredocs(made) else ()
        except FormatError as error:
            raise FormatError(f"line {first}: {error.message}") from error
        return Instruction(
            name=made.name,
            start=start,
            end=self._offset,
            line=first,
            last_line=self._next,
            flags=made.flags,
            words=made.words,
            listed=made.listed,
            heredocs=heredocs,
            inner=made.inner,
        )

    def _heredocs(self, line: str) -> Iterator[Heredoc]:
        for word in _shell_words(line) or ():
            found = _HEREDOC.fullmatch(word)
            name = _unquoted(found[3]) if found else None
            if found is None or not name:
                continue
            held = []
            while True:
                if self._next >= len(self._lines):
                    raise FormatError(f"its heredoc {name} has no end")
                raw = self._take()[1]
                bare = raw.rstrip("\r\n")
                if (bare.lstrip("\t") if found[2] else bare) == name:
                    break
                held.append(raw)
            yield Heredoc(name, "".join(held), strips=bool(found[2]), expands=not set(found[3]) & {"'", '"'})


def _split(text: str) -> list[str]:
    """Return lines with their newlines; str.splitlines knows other ends of lines as well."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


# -- arguments -------------------------------------------------------------------------------


def _takes_heredocs(made: Arguments) -> bool:
    one = made.inner if made.name == "ONBUILD" and made.inner else made
    return one.name in _WITH_HEREDOC and one.listed is None


def _arguments(line: _Line, at: int, escape: str, depth: int = 0) -> Arguments:
    """Return what stands on a line from ``at`` on. Raises FormatError."""
    text = line.text
    end = len(text.rstrip(_SPACE))
    at = max(end - len(text[at:end].lstrip(_SPACE)), 0)
    gap = _BLANK.search(text, at, end)
    written = text[at : gap.start() if gap else end]
    name = written.upper()
    flags: tuple[str, ...] = ()
    at = gap.end() if gap else end
    if gap:
        flags, at = _flags(text, at, end)
        at = end - len(text[at:end].lstrip(_SPACE))
    if name == "ONBUILD":
        if at >= end or depth >= _DEPTH:
            return Arguments(name, flags)
        return Arguments(name, flags, inner=_arguments(line, at, escape, depth + 1))
    if name == "HEALTHCHECK":
        return _health(line, Arguments(name, flags), at, end)
    listed = _listed(text[at:end]) if name in _WITH_JSON else None
    if listed is not None:
        return Arguments(name, flags, listed=listed)
    return Arguments(name, flags, tuple(_words(line, name, at, end, escape)))


def _words(line: _Line, name: str, at: int, end: int, escape: str) -> Iterator[Word]:
    """Yield the words of an instruction that stand from ``at`` to ``end``. Raises FormatError."""
    text = line.text
    if at >= end:
        return
    if name in _TEXTS:
        yield line.word(text[at:end], at, end)
    elif name in _LISTS:
        yield from (line.word(text[one:other], one, other) for one, other in _plain(text, at, end))
    elif name == "ARG" or name in _PAIRS:
        found = [line.word(word, start, stop) for word, start, stop in _quoted(text, at, end, escape)]
        if name in _PAIRS and found and "=" not in found[0].text:  # ENV NAME the rest of the line
            gap = _BLANK.search(text, at, end)
            if gap is None:
                raise FormatError(f"{name} must have two arguments")
            found = [line.word(text[at : gap.start()], at, gap.start())]
            found += [line.word(text[gap.end() : end], gap.end(), end)] if gap.end() < end else []
        elif name in _PAIRS:
            wrong = next((word for word in found if "=" not in word.text), None)
            if wrong is not None:
                raise FormatError(f"{name} has {wrong.text!r}, which is no name=value")
        yield from found


def _health(line: _Line, made: Arguments, at: int, end: int) -> Arguments:
    text = line.text
    if at >= end:
        return made
    stop = next((place for place in range(at, end) if text[place] in _SPACE), end)
    kind = line.word(text[at:stop], at, stop)
    rest = end - len(text[stop:end].lstrip(_SPACE))
    listed = _listed(text[rest:end]) if rest < end else None
    if listed is not None or rest >= end:
        return made._replace(words=(kind,), listed=listed)
    return made._replace(words=(kind, line.word(text[rest:end], rest, end)))


def _plain(text: str, at: int, end: int) -> Iterator[tuple[int, int]]:
    for gap in _BLANK.finditer(text, at, end):
        yield at, gap.start()
        at = gap.end()
    yield at, end


def _listed(text: str) -> tuple[str, ...] | None:
    """Return the strings of an exec form, None where the text is none. Raises FormatError for a list of others."""
    if not text.startswith("["):
        return None
    try:
        held = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(one, str) for one in held):
        raise FormatError("a list in JSON holds strings only")
    return tuple(held)


def _no_constant(name: str) -> object:
    raise ValueError(name)  # NaN and Infinity are Python's own


def _flags(text: str, at: int, end: int) -> tuple[tuple[str, ...], int]:
    """Return the flags that stand from ``at`` on, without quotes and escapes, and where what follows them begins."""
    flags: list[str] = []
    while True:
        while at < end and text[at] in _SPACE:
            at += 1
        if text[at : min(at + 2, end)] != "--":
            return tuple(flags), at
        word, at, quoted = _flag(text, at, end)
        if word == "--":
            return tuple(flags), at
        if word or quoted:
            flags.append(word)


def _flag(text: str, at: int, end: int) -> tuple[str, int, bool]:
    found: list[str] = []
    quote, quoted = "", False
    while at < end:
        letter = text[at]
        if letter == quote:
            quote = ""
        elif letter == "\\":
            at += 1
            if at >= end:
                break
            found.append(text[at])
        elif not quote and letter in _SPACE:
            break
        elif not quote and letter in "'\"":
            quote, quoted = letter, True
        else:
            found.append(letter)
        at += 1
    return "".join(found), at, quoted


def _quoted(text: str, at: int, end: int, escape: str) -> Iterator[tuple[str, int, int]]:
    """Yield words with their quotes and escapes, and where each stands; an escape at the very end is dropped."""
    found: list[str] = []
    start, quote = -1, ""
    while at < end:
        letter = text[at]
        if start < 0:
            if letter in _SPACE:
                at += 1
                continue
            start = at
        if not quote and letter in _SPACE:
            yield "".join(found), start, at
            found, start = [], -1
        elif letter == escape and quote != "'":
            if at + 1 == end:
                break
            found += (letter, text[at + 1])
            at += 1
        else:
            quote = "" if letter == quote else quote or (letter if letter in "'\"" else "")
            found.append(letter)
        at += 1
    if found:
        yield "".join(found), start, end


# -- shell words, for heredocs -----------------------------------------------------------------


def _shell_words(text: str) -> list[str] | None:
    """Return words with quotes and escapes as they stand, None where a quote has no end: then there is no heredoc."""
    words: list[str] = []
    found: list[str] = []
    quote, at = "", 0
    while at < len(text):
        letter = text[at]
        if letter == "\\" and quote != "'":
            found.append(text[at : at + 2])
            at += 1
        elif not quote and letter in _SPACE:
            if found:
                words.append("".join(found))
            found = []
        else:
            quote = "" if letter == quote else quote or (letter if letter in "'\"" else "")
            found.append(letter)
        at += 1
    if quote:
        return None
    return [*words, "".join(found)] if found else words


def _unquoted(word: str) -> str | None:
    """Return a heredoc's name without quotes and escapes, None where it is not one word."""
    found: list[str] = []
    quote, at = "", 0
    while at < len(word):
        letter = word[at]
        if letter == "\\" and quote != "'":
            following = word[at + 1 : at + 2]
            if quote and following not in ('"', "$", "\\"):
                found.append(letter)
            found.append(following)
            at += 1
        elif letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote = letter
        else:
            found.append(letter)
        at += 1
    return None if quote else "".join(found)


# -- stages ----------------------------------------------------------------------------------


def _stages(file: Dockerfile) -> Iterator[Stage]:
    scope: dict[str, str | None] = {}
    defaults: dict[str, Word] = {}
    starts = [at for at, one in enumerate(file.instructions) if one.name == "FROM"]
    for one in file.instructions[: starts[0]] if starts else ():
        if one.name == "ARG":
            _define(one, scope, defaults, file.escape)
    names: dict[str, int] = {}
    for index, at in enumerate(starts):
        end = starts[index + 1] if index + 1 < len(starts) else len(file.instructions)
        start = file.instructions[at]
        words = start.words
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].text.lower() != "as"):
            raise FormatError(f"line {start.line}: FROM takes an image, and AS with a name")
        name = words[2].text.lower() if len(words) == 3 else ""
        if name and not _STAGE_NAME.fullmatch(name):
            raise FormatError(f"line {start.line}: {words[2].text!r} is no name of a stage")
        image, used = _expanded(words[0].text, scope, file.escape)
        yield Stage(
            index=index,
            name=name,
            start=start,
            written=words[0],
            image=image or "",
            variable=_variable(words[0].text, used, defaults, file.escape),
            platform=_expanded(start.flag("platform"), scope, file.escape)[0] or "",
            parent=names.get((image or "").lower()),
            instructions=file.instructions[at + 1 : end],
        )
        if name:
            names[name] = index


def _define(one: Instruction, scope: dict[str, str | None], defaults: dict[str, Word], escape: str) -> None:
    """Heed an ARG: a variable without a default is set by who builds, or it is not."""
    for word in one.words:
        name, equals, value = word.text.partition("=")
        if not equals:
            scope.setdefault(name, None)
            continue
        scope[name] = _expanded(value, scope, escape)[0]
        length = len(word.text) - len(name) - 1
        if word.end - word.start == len(word.text):  # it stands on one line
            defaults[name] = Word(value, word.end - length, word.end)


class _Use(NamedTuple):
    """A variable in a word: where it stands, from ``$`` on."""

    name: str
    start: int
    end: int


class _UnknownError(Exception):
    """What a word comes to is not known."""


def _expanded(word: str, scope: Mapping[str, str | None], escape: str) -> tuple[str | None, list[_Use]]:
    """Return a word without quotes, its variables replaced, and those variables; None where one is not known."""
    expander = _Expander(word, scope, escape)
    try:
        return expander.expand(0, "", 0)[0], expander.used
    except _UnknownError:
        return None, expander.used


class _Expander:
    """Replaces the variables of one word. ``used`` are those whose value stands in the result, the outermost alone."""

    def __init__(self, word: str, scope: Mapping[str, str | None], escape: str) -> None:
        self._word = word
        self._scope = scope
        self._escape = escape
        self.used: list[_Use] = []

    def expand(self, at: int, stop: str, depth: int) -> tuple[str, int]:
        """Return what stands from ``at`` on up to ``stop``, and where that is."""
        word, escape = self._word, self._escape
        found: list[str] = []
        quote = ""
        while at < len(word):
            letter = word[at]
            if not quote and letter == stop:
                return "".join(found), at
            if letter == "$" and quote != "'":
                text, at = self._dollar(at, depth)
                found.append(text)
                continue
            if letter == escape and quote != "'":
                following = word[at + 1 : at + 2]
                found.append((escape if quote and following not in ('"', "$", escape) else "") + following)
                at += 1
            elif letter == quote:
                quote = ""
            elif not quote and letter in "'\"":
                quote = letter
            else:
                found.append(letter)
            at += 1
        if quote or stop:
            raise _UnknownError
        return "".join(found), at

    def _dollar(self, at: int, depth: int) -> tuple[str, int]:
        """Return the value of the variable at ``at``, and where what follows it begins."""
        word = self._word
        braced = word[at + 1 : at + 2] == "{"
        name = _VARIABLE.match(word, at + 1 + braced)
        if name is None or depth >= _DEPTH:
            if not braced and word[at + 1 : at + 2] not in tuple("0123456789@*#?-$!"):
                return "$", at + 1
            raise _UnknownError
        value = self._scope.get(name[0])
        if not braced:
            return self._value(name[0], value, at, name.end())
        operator = _OPERATOR.match(word, name.end())
        sign = operator[0] if operator else ""
        kept = len(self.used)
        other, end = self.expand(name.end() + len(sign), "}", depth + 1)
        if not sign and end != name.end():
            raise _UnknownError  # ${NAME#pattern} and the like
        is_set = value is not None and (bool(value) or ":" not in sign)
        if sign[-1:] in ("+", "-") and is_set == (sign[-1:] == "+"):
            return other, end + 1
        del self.used[kept:]
        return ("", end + 1) if sign[-1:] == "+" else self._value(name[0], value if is_set else None, at, end + 1)

    def _value(self, name: str, value: str | None, start: int, end: int) -> tuple[str, int]:
        if value is None:
            raise _UnknownError
        self.used.append(_Use(name, start, end))
        return value, end


def _variable(word: str, used: list[_Use], defaults: Mapping[str, Word], escape: str) -> Variable | None:
    """Return the one variable of a word, where an ARG gives it a default."""
    if len(used) != 1 or word.count("$") != 1 or set(word) & {"'", '"', escape}:
        return None
    name, start, end = used[0]
    default = defaults.get(name)
    return None if default is None else Variable(name, word[:start], word[end:], default)
