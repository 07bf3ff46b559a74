"""The queues in which messages wait between the caller and the listener: in memory or on disk."""
