"""Completion for zsh, by its own ``_arguments``, which tells options and places apart."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from runworthy.cli.completion.grammar import Argument, Grammar, Spec
from runworthy.cli.words import Takes

__all__ = ["script"]

_SCRIPT = """\
#compdef runworthy
# zsh completion for runworthy @VERSION@, written by `runworthy completion zsh`

_runworthy_targets() {
    local -a names architectures
    compset -P '*,'
    case $PREFIX in
        ([./~]*|rootfs:*|snapshot:*) compset -P '(rootfs|snapshot):'; _files; return ;;
    esac
    names=(@NAMES@)
    case ${PREFIX%/*} in
@ARCHITECTURES@
    esac
    names+=(${PREFIX%/*}/${^architectures})
    compadd -- $names
}

_runworthy() {
    local command curcontext=$curcontext context state line
    local -a below
    typeset -A opt_args
    if (( CURRENT == 2 )) && [[ $PREFIX != -* ]]; then
        below=(
@COMMANDS@
        )
        _describe -t commands command below
        return
    fi
    command=$words[2]
    if (( CURRENT > 2 )); then
        shift words
        (( CURRENT-- ))
    fi
    below=()
    case $command in
@BELOW@
    esac
    if (( CURRENT == 2 )); then
        (( $#below )) && _describe -t commands command below
    elif (( ${below[(I)$words[2]:*]} )); then
        command+=" $words[2]"
        shift words
        (( CURRENT-- ))
    fi
    case $command in
@ARGUMENTS@
        (*) _arguments '(- *)'{-h,--help}'[show what there is]' '(- *)'{-V,--version}'[show the version]' ;;
    esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _runworthy "$@"
else
    compdef _runworthy runworthy
fi
"""


def script(grammar: Grammar) -> str:
    """Return the script."""
    filled = {
        "VERSION": grammar.version,
        "NAMES": " ".join(grammar.names),
        "ARCHITECTURES": "\n".join(
            f"        ({'|'.join(names)}) architectures=({' '.join(spellings)}) ;;"
            for spellings, names in grammar.architectures.items()
        ),
        "COMMANDS": "\n".join(f"            {word}" for word in _described((*grammar.commands, ("help", "this text")))),
        "BELOW": "\n".join(
            f"        ({spec.name}) below=({' '.join(_described(spec.commands))}) ;;"
            for spec in grammar.specs
            if spec.commands
        ),
        "ARGUMENTS": "\n".join(_arguments(spec) for spec in grammar.specs),
    }
    text = _SCRIPT
    for name, value in filled.items():
        text = text.replace(f"@{name}@", value)
    return text


def _described(words: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (shlex.quote(f"{word}:{meaning}") for word, meaning in words)


def _arguments(spec: Spec) -> str:
    specs = [*(one for option in spec.options for one in _option(option)), *map(_positional, spec.positionals)]
    lines = " \\\n".join(f"                {shlex.quote(one)}" for one in specs)
    return f"        ({shlex.quote(spec.name)})\n            _arguments -s -S : \\\n{lines}\n            ;;"


def _option(option: Argument) -> Iterator[str]:
    """Yield a line for each flag; one that was given takes the other spellings away with it."""
    told = option.help.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    for flag in option.flags:
        others = "- *" if flag in ("-h", "--help") else " ".join(option.flags)
        before = "*" if option.many else f"({others})"
        after = "" if option.takes is None else "=" if flag.startswith("--") else "+"
        yield f"{before}{flag}{after}[{told}]" + _value(option)


def _positional(argument: Argument) -> str:
    return ("*" if argument.many else "") + _value(argument)


def _value(argument: Argument) -> str:
    return f":{argument.metavar}:{_action(argument.takes)}" if argument.takes else ""


def _action(taken: Takes) -> str:
    if taken.kind != "words":
        return {"files": "_files", "directories": "_files -/", "targets": "_runworthy_targets", "anything": " "}[
            taken.kind
        ]
    if all(word.endswith("=") for word, _ in taken.words):
        return f"{{compadd -S '' -- {' '.join(word for word, _ in taken.words)}}}"
    if any(meaning for _, meaning in taken.words):
        return f"(({' '.join(_escaped(word, meaning) for word, meaning in taken.words)}))"
    return f"({' '.join(word for word, _ in taken.words)})"


def _escaped(word: str, meaning: str) -> str:
    return f"{word}\\:{meaning}".replace(" ", "\\ ")
