"""The `generated` directive, which inserts a table from `tables` into a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import tables
from docutils.nodes import Node
from sphinx.util.docutils import SphinxDirective
from typing_extensions import override

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Generated(SphinxDirective):
    """Inserts the table that its argument names."""

    required_arguments: ClassVar[int] = 1

    @override
    def run(self) -> list[Node]:
        name = self.arguments[0]
        if name not in tables.TABLES:
            raise self.error(f"there is no table {name!r}: see docs/_ext/tables.py")
        return self.parse_text_to_nodes(tables.TABLES[name]())


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive with Sphinx."""
    app.add_directive("generated", Generated)
    return {"version": "1", "parallel_read_safe": True}
