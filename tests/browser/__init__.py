"""Tests in a real browser. They need Node.js, Chromium and `make browser`."""
