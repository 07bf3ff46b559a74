"""Who it was: what is bound to the current context or to a logger, and how bindings combine."""
