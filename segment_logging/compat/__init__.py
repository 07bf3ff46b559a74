"""Replacements for other libraries' modules, so that programs can change over step by step."""
