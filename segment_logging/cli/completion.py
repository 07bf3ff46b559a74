"""`segment-logging completion SHELL`: print a script that completes commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

NAME = "completion"
SUMMARY = "print a script that completes commands and options in a shell"

_WAYS = {
    "bash": 'add `eval "$(segment-logging completion bash)"` to ~/.bashrc',
    "zsh": 'add `eval "$(segment-logging completion zsh)"` to ~/.zshrc, after compinit',
    "fish": "add `segment-logging completion fish | source` to ~/.config/fish/config.fish",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    ways = "; ".join(f"{shell}: {way}" for shell, way in _WAYS.items())
    parser.description = f"Print a script that completes commands and options. {ways}."
    parser.add_argument("shell", choices=tuple(_WAYS), metavar="SHELL", help=", ".join(_WAYS))


def run(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    commands = dict(_commands(options.root))
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](commands))
    return 0


def _commands(root: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in root._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options of a command, and the values of its arguments if they are few."""
    words: list[str] = []
    for action in parser._actions:
        words += [name for name in action.option_strings if name.startswith("--")]
        if not action.option_strings and action.choices is not None:
            words += map(str, action.choices)
    return words


def _bash(commands: dict[str, argparse.ArgumentParser]) -> str:
    cases = "\n".join(
        f'        {name}) words="{" ".join(_words(parser))}" ;;'
        for name, parser in commands.items()
    )
    return f"""\
_segment_logging() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" words
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{" ".join(commands)} --help --version" -- "$current"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
{cases}
        *) words="" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
}}
complete -o filenames -F _segment_logging segment-logging"""


def _zsh(commands: dict[str, argparse.ArgumentParser]) -> str:
    cases = "\n".join(
        f"        {name}) compadd -- {' '.join(_words(parser))} ;;"
        for name, parser in commands.items()
    )
    return f"""\
_segment_logging() {{
    if (( CURRENT == 2 )); then
        compadd -- {" ".join(commands)} --help --version
        return
    fi
    case "$words[2]" in
{cases}
    esac
    _files
}}
compdef _segment_logging segment-logging"""


def _fish(commands: dict[str, argparse.ArgumentParser]) -> str:
    every = " ".join(commands)
    lines = [
        f"complete -c segment-logging -n 'not __fish_seen_subcommand_from {every}' "
        f"-f -a '{every} --help --version'"
    ]
    for name, parser in commands.items():
        for word in _words(parser):
            what = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            lines.append(
                f"complete -c segment-logging -n '__fish_seen_subcommand_from {name}' {what}"
            )
    return "\n".join(lines)
