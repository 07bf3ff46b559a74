"""The HTTP client: requests, connections and the meaning of answers."""
