"""Labels: formats, offsets, merge, snapshots; pure, usable with no server."""
