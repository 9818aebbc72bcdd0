"""Labelbridge: one text project, two labeling studios, one of them open at a time."""
