"""The documents that are made of the code, and what holds the others to it."""
