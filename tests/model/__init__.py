"""The protocol as a small model, explored exhaustively; see README.md beside this file."""
