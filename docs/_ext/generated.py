"""The directive `generated`, which puts a table of `tables` into a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import tables
from docutils.nodes import Node
from sphinx.util.docutils import SphinxDirective
from typing_extensions import override

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Generated(SphinxDirective):
    """Stands for the table that its only argument names."""

    required_arguments: ClassVar[int] = 1

    @override
    def run(self) -> list[Node]:
        name = self.arguments[0]
        if name not in tables.TABLES:
            raise self.error(f"there is no table {name!r}: see docs/_ext/tables.py")
        return self.parse_text_to_nodes(tables.TABLES[name]())


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("generated", Generated)
    return {"version": "1", "parallel_read_safe": True}
