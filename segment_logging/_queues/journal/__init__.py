"""The queue on disk: what was accepted outlives the process, and is sent by whoever comes next."""
