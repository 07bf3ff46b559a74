"""Tests for the publishing half of the broker, with a real RabbitMQ."""
