"""Typed clients of Azure, asynchronous, with a deadline below every request."""
