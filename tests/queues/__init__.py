"""The queues: one contract for all of them, then what only one promises."""
