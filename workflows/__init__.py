"""Deterministic code only: the project entity and one workflow per operation."""
