"""The whole of Azure that Labelbridge needs, on this machine: for rehearsal and for tests."""
