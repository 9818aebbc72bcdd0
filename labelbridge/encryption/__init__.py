"""Encryption of what Temporal stores: keys, where they come from, and the payload codec that uses them."""
