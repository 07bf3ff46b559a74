"""What only the journal promises."""
