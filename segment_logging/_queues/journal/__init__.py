"""The queue on disk. Its messages outlive the process, and the next process sends them."""
