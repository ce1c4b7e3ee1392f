"""What env(1) makes of the words that a ``#!`` line gives it: which command it starts, or that it refuses.

Sources: GNU coreutils 9.1 ``src/env.c`` (main, parse_split_string, build_argv); busybox 1.35 ``coreutils/env.c``. The
kernel hands all that follows the interpreter over as one word, which is why options with values seldom work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runworthy.model.records import dataclass, field

__all__ = ["EnvStart", "busybox_env", "gnu_env"]

_BLANKS = " \t\n\v\f\r"
_ESCAPES = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "#": "#", "$": "$", '"': '"', "'": "'", "\\": "\\"}
_UNKNOWN = "\0"
"""Stands in a word for the value of a variable: a word of a command line holds no NUL."""

_LONG = {
    "ignore-environment": "i",
    "null": "0",
    "unset": "u",
    "chdir": "C",
    "default-signal": "d",
    "ignore-signal": "s",
    "block-signal": "b",
    "list-signal-handling": "l",
    "debug": "v",
    "split-string": "S",
    "help": "h",
    "version": "V",
    "argv0": "a",
}
_WITH_VALUE = frozenset("uCSa")
_OF_SIGNALS = frozenset("dsb")
_SHORT = frozenset("0iuvCSa")
_SIGNALS = frozenset("ABRT ALRM CHLD CONT HUP INT PIPE QUIT TERM TSTP TTIN TTOU USR1 USR2 WINCH".split())
_TELLING = {"h": "prints its help", "V": "prints its version"}


class _RefusedError(Exception):
    """What env says, and that it starts nothing."""


class _UnknownError(Exception):
    """What it depends on that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvStart:
    """What env starts: ``words`` are the command and its arguments.

    ``refused`` is what it says where it starts nothing, its exit status in it. ``unknown`` says what the words depend
    on that is not known. ``path`` is PATH as the command line sets it, None where it leaves it as it is, empty
    where there is none and the C library's own is used. ``directory`` is where it changes to first. ``splits``: it
    takes -S, which GNU env has since 8.30.
    """

    words: tuple[str, ...] = ()
    refused: str = ""
    unknown: str = ""
    path: str | None = None
    directory: str = ""
    splits: bool = False


@dataclass(slots=True)
class _State:
    """What has been read of a command line."""

    words: list[str]
    path: str | None = None
    directory: str = ""
    options: set[str] = field(default_factory=set)


def gnu_env(words: Sequence[str]) -> EnvStart:
    """Return what GNU env makes of the words after its own name."""
    return _read(_State([*words]), _SHORT, tuple(_LONG), 125)


def busybox_env(words: Sequence[str]) -> EnvStart:
    """Return what the applet of busybox makes of the words after its own name: it knows -i, -0, -u and no -S."""
    return _read(_State([*words]), frozenset("0iu"), ("ignore-environment", "null", "unset"), 1)


def _read(state: _State, short: frozenset[str], long: Sequence[str], status: int) -> EnvStart:
    try:
        _options(state, short, long)
        if short is not _SHORT:
            state.options.discard("0")  # which is refused beside a command by GNU alone
        return _started(state)
    except _RefusedError as error:
        return EnvStart(refused=f"{error}, and it ends with {status}")
    except _UnknownError as error:
        return EnvStart(unknown=str(error))


def _started(state: _State) -> EnvStart:
    words = state.words
    if words and words[0] == "-":
        del words[0]
        state.path = ""
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        if name == "PATH":
            state.path = value
    if not words:
        return EnvStart(refused="it prints the environment, and starts nothing")
    if "0" in state.options:
        raise _RefusedError("cannot specify --null (-0) with command")
    _check_known(words[0], state.path or "", state.directory)
    shown = tuple(word.replace(_UNKNOWN, "${...}") for word in words)
    return EnvStart(words=shown, path=state.path, directory=state.directory, splits="S" in state.options)


def _check_known(*words: str) -> None:
    if any(_UNKNOWN in word for word in words):
        raise _UnknownError("the environment, by which env -S completes the command")


# -- options (getopt_long, which stops at the first word that is none) ------------------------


def _options(state: _State, short: frozenset[str], long: Sequence[str]) -> None:
    words = state.words
    while words and len(words[0]) > 1 and words[0][0] in ("-", _UNKNOWN):
        word = words.pop(0)
        _check_known(word)
        if word == "--":
            return
        for letter, value in _long(state, word[2:], long) if word[:2] == "--" else _short(state, word[1:], short):
            _apply(state, letter, value)


def _long(state: _State, text: str, known: Sequence[str]) -> Iterator[tuple[str, str]]:
    name, equals, value = text.partition("=")
    found = [name] if name in known else [one for one in known if one.startswith(name)]
    if len(found) != 1:
        raise _RefusedError(f"option '--{text}' is ambiguous" if found else f"unrecognized option '--{text}'")
    letter = _LONG[found[0]]
    if equals and letter not in _WITH_VALUE and letter not in _OF_SIGNALS:
        raise _RefusedError(f"option '--{found[0]}' doesn't allow an argument")
    if letter in _WITH_VALUE and not equals:
        value = _value(state, found[0])
    yield letter, value


def _short(state: _State, letters: str, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    for at, letter in enumerate(letters):
        if letter not in known:
            raise _RefusedError(f"invalid option -- '{letter}'")
        if letter in _WITH_VALUE:
            yield letter, letters[at + 1 :] or _value(state, letter)
            return
        yield letter, ""


def _value(state: _State, name: str) -> str:
    if not state.words:
        raise _RefusedError(f"option requires an argument -- '{name}'")
    return state.words.pop(0)


def _apply(state: _State, letter: str, value: str) -> None:
    if letter in _TELLING:
        raise _RefusedError(_TELLING[letter])
    if letter in _OF_SIGNALS and value and not _SIGNALS.issuperset(value.split(",")):
        raise _UnknownError(f"whether env knows the signals {value}")
    if letter == "u" and (not value or "=" in value):
        raise _RefusedError(f"cannot unset '{value}'")
    if letter == "a":
        raise _UnknownError("whether this env has the option -a (GNU coreutils 9.5)")
    state.options.add(letter)
    if letter == "S":
        state.words[:0] = _split(value)
    elif letter == "C":
        state.directory = value
    elif letter == "i" or (letter == "u" and value == "PATH"):
        state.path = ""


# -- env -S -----------------------------------------------------------------------------------


def _split(text: str) -> list[str]:
    """Return the words of a string as -S cuts it: quotes, escapes, variables, a comment at the beginning of a word."""
    cut = _Cut()
    at = 0
    while at < len(text) and not cut.ended:
        letter, at = text[at], at + 1
        if letter in "'\"" and cut.quote in ("", letter):
            cut.quote = "" if cut.quote else letter
            cut.add("")
        elif letter == "$" and cut.quote != "'":
            at = _variable(text, at)
            cut.add(_UNKNOWN)
        elif letter == "\\" and (cut.quote != "'" or text[at : at + 1] in ("\\", "'")):
            cut.escape(text[at : at + 1])
            at += 1
        else:
            cut.letter(letter)
    if cut.quote:
        raise _RefusedError("no terminating quote in -S string")
    return cut.words


@dataclass(slots=True)
class _Cut:
    """A string that -S cuts. ``quote`` is the one that is open, ``between``: a word has ended."""

    words: list[str] = field(default_factory=list)
    quote: str = ""
    between: bool = True
    ended: bool = False

    def add(self, piece: str) -> None:
        """Add to the word, or begin one."""
        if self.between:
            self.words.append("")
            self.between = False
        self.words[-1] += piece

    def letter(self, letter: str) -> None:
        """Take one that has no backslash before it."""
        if letter in _BLANKS and not self.quote:
            self.between = True
        elif letter == "#" and self.between and not self.quote:
            self.ended = True
        else:
            self.add(letter)

    def escape(self, letter: str) -> None:
        """Take one that has a backslash before it."""
        if letter == "c" and not self.quote:
            self.ended = True
        elif letter == "_" and not self.quote:
            self.between = True
        else:
            self.add(" " if letter == "_" else _escape(letter))


def _variable(text: str, at: int) -> int:
    """Return where a ``${NAME}`` ends whose dollar is before ``at``."""
    end = text.find("}", at)
    name = text[at + 1 : end] if end > 0 else ""
    if text[at : at + 1] != "{" or not name.isidentifier() or not name.isascii():
        raise _RefusedError("only ${VARNAME} expansion is supported")
    return end + 1


def _escape(letter: str) -> str:
    if not letter:
        raise _RefusedError("invalid backslash at end of string in -S")
    if letter not in _ESCAPES:
        raise _RefusedError(
            "'\\c' must not appear in double-quoted -S string"
            if letter == "c"
            else f"invalid sequence '\\{letter}' in -S"
        )
    return _ESCAPES[letter]
