"""Acts on many projects: which ones (`where`, `facts`, `visibility`, `listing`), what (`orders`), by whom (`acts`).

This file imports nothing, so that workflow code may name single modules.
"""
