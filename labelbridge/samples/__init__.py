"""Small projects of our own writing: documents and a labels file in Language's format."""

from pathlib import Path

CLINIC = Path(__file__).with_name("clinic")
"""Visit notes of an invented clinic: 14 documents, 5 entities, half of them labelled."""
