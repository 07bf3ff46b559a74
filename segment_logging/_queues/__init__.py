"""Where messages wait between the caller and the listener: in memory, or in files on disk."""
