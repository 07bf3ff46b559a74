"""The labels of Prometheus expressions, as far as the documented conditions use the language."""

from __future__ import annotations

import re
from collections.abc import Mapping

Labels = frozenset[str]

_TOKEN = re.compile(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|[\w.:]+|[=!<>]=|[-+*/<>(),]')
_SETS = ("or", "and", "unless")
_LEVELS = (("or",), ("and", "unless"), ("==", "!=", "<=", ">=", "<", ">"), ("+", "-"), ("*", "/"))
_AGGREGATIONS = ("sum", "max", "min", "avg", "count")


class Mismatch(Exception):
    """Two sides of an operator never match, because they have different labels."""


def labels_of(expression: str, labels: Mapping[str, set[str]]) -> set[Labels]:
    """Return the sets of labels that the results of an expression can have.

    Labels that all metrics have, such as `instance`, are not counted.

    Args:
        expression: the expression.
        labels: the labels of each metric.

    Raises:
        Mismatch: two sides of an operator never match.
    """
    reader = _Reader(_TOKEN.findall(expression), labels)
    found = reader.read(0)
    assert not reader.tokens, (expression, reader.tokens)
    return found


class _Reader:
    def __init__(self, tokens: list[str], labels: Mapping[str, set[str]]) -> None:
        self.tokens = tokens
        self.labels = labels

    def next_is(self, *expected: str) -> bool:
        return bool(self.tokens) and self.tokens[0] in expected

    def read(self, level: int) -> set[Labels]:
        """Read operators of a level and those that bind more tightly."""
        if level == len(_LEVELS):
            return self.operand()
        left = self.read(level + 1)
        while self.next_is(*_LEVELS[level]):
            operator = self.tokens.pop(0)
            matching = self.tokens.pop(0) if self.next_is("ignoring", "on") else ""
            names = self.names() if matching else set()
            left = self.combined(operator, left, self.read(level + 1), matching, names)
        return left

    def combined(
        self, operator: str, left: set[Labels], right: set[Labels], matching: str, names: set[str]
    ) -> set[Labels]:
        if operator == "or":
            return left | right
        if left and right:  # neither is a number
            sides = [
                {one & names if matching == "on" else one - names for one in side}
                for side in (left, right)
            ]
            if sides[0] != sides[1] or len(sides[0]) != 1:
                raise Mismatch(f"{operator}: {left} and {right}")
            if operator not in _SETS and matching:
                return sides[0]
        return left or right

    def operand(self) -> set[Labels]:
        token = self.tokens.pop(0)
        if token == "(":
            found = self.read(0)
            assert self.tokens.pop(0) == ")"
        elif re.fullmatch(r"[\d.e]+", token):
            found = set()
        elif token in _AGGREGATIONS:
            by = self.names() if self.next_is("by") and self.tokens.pop(0) else set()
            self.operand()
            found = {frozenset(by)}
        elif self.next_is("("):  # a function
            found = self.operand()
        else:
            found = {frozenset(self.labels[token])}
            while self.tokens and self.tokens[0][0] in "{[":
                self.tokens.pop(0)
        return found

    def names(self) -> set[str]:
        """Read names in parentheses."""
        assert self.tokens.pop(0) == "("
        end = self.tokens.index(")")
        names, self.tokens = self.tokens[:end], self.tokens[end + 1 :]
        return {name for name in names if name != ","}
