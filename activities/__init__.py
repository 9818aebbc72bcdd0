"""The steps with effects, one module per kind of step."""
