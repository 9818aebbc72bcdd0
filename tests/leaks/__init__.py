"""No secret stays behind: everything that a run leaves is read again and searched."""
