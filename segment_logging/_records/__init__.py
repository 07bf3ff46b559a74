"""From LogRecords to messages: which records are events, and what the messages contain."""
