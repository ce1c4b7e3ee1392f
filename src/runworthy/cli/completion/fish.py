"""Completion for fish: one ``complete`` line for each thing that can be written, under the condition of its command."""

from __future__ import annotations

from collections.abc import Iterator

from runworthy.cli.completion.grammar import Argument, Grammar, Spec
from runworthy.cli.words import Takes

__all__ = ["script"]

_SCRIPT = """\
# fish completion for runworthy @VERSION@, written by `runworthy completion fish`

# The command on the line, with its sub-command where it has one.
function __runworthy_command
    set -l words (commandline -opc)
    switch "$words[2] $words[3]"
        case @BELOW@
            echo $words[2] $words[3]
        case '*'
            echo $words[2]
    end
end

function __runworthy_at
    set -l command (__runworthy_command)
    test "$command" = "$argv"
end

# A sub-command stands right after its command.
function __runworthy_after
    __runworthy_at $argv; and test (count (commandline -opc)) -eq 2
end

function __runworthy_targets
    set -l word (string replace -r -- '^--[^=]*=' '' (commandline -ct))
    set -l head (string match -r -- '^.*,' $word)
    set -l last (string replace -r -- '^.*,' '' $word)
    if string match -qr -- '^([./~]|rootfs:|snapshot:)' $last
        set -l path (string replace -r -- '^(rootfs|snapshot):' '' $last)
        set -l kind (string match -r -- '^(?:rootfs|snapshot):' $last)
        printf '%s\\n' "$head$kind"(complete -C "'' $path")
        return
    end
    printf '%s\\n' "$head"{@NAMES@}
    set -l base (string replace -r -- '/[^/]*$' '' $last)
    test "$base" = "$last"; and return
    set -l architectures
    switch $base
@ARCHITECTURES@
    end
    printf '%s\\n' "$head$base/"$architectures
end

complete -c runworthy -e # what an older script has said
complete -c runworthy -f
complete -c runworthy -n __runworthy_at -s h -l help -d 'show what there is'
complete -c runworthy -n __runworthy_at -s V -l version -d 'show the version'
@COMPLETE@
"""


def script(grammar: Grammar) -> str:
    """Return the script."""
    below = [_quoted(f"{spec.name} {word}") for spec in grammar.specs for word, _ in spec.commands]
    filled = {
        "VERSION": grammar.version,
        "BELOW": " ".join(below) or "''",
        "NAMES": ",".join(grammar.names),
        "ARCHITECTURES": "\n".join(
            f"        case {' '.join(names)}\n            set architectures {' '.join(spellings)}"
            for spellings, names in grammar.architectures.items()
        ),
        "COMPLETE": "\n".join(_lines(grammar)),
    }
    text = _SCRIPT
    for name, value in filled.items():
        text = text.replace(f"@{name}@", value)
    return text


def _lines(grammar: Grammar) -> Iterator[str]:
    for word, summary in (*grammar.commands, ("help", "show what there is")):
        yield f"complete -c runworthy -n __runworthy_at -a {word} -d {_quoted(summary)}"
    for spec in grammar.specs:
        yield from _of_command(spec)


def _of_command(spec: Spec) -> Iterator[str]:
    here = f"complete -c runworthy -n {_quoted(f'__runworthy_at {spec.name}')}"
    for word, summary in spec.commands:
        yield f"complete -c runworthy -n {_quoted(f'__runworthy_after {spec.name}')} -a {word} -d {_quoted(summary)}"
    for option in spec.options:
        flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
        yield f"{here} {flags}{_value(option)} -d {_quoted(option.help)}"
    for argument in spec.positionals:
        if argument.takes:
            yield f"{here} {_candidates(argument.takes)}".rstrip()


def _value(option: Argument) -> str:
    if option.takes is None:
        return ""
    required = "-r" if option.takes.kind == "files" else "-x"
    return f" {required} {_candidates(option.takes)}".rstrip()


def _candidates(taken: Takes) -> str:
    if taken.kind == "words":
        return f"-a {_quoted(' '.join(_word(word, meaning) for word, meaning in taken.words))}"
    return {
        "files": "-F",
        "directories": "-a '(__fish_complete_directories)'",
        "targets": "-a '(__runworthy_targets)'",
        "anything": "",
    }[taken.kind]


def _word(word: str, meaning: str) -> str:
    return f"{word}\\t{meaning}" if meaning else word


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
