"""Events: what happened, told to whoever subscribed, and what happened elsewhere, heard.

Out: `event` (what is told), `outbox` (where it is kept, in one order), `subscribers` and `delivery` (who
was told what), `webhook` and `addresses` (how and where to). In: `exports` and `policy` (what a label
export starts). This file imports nothing, so that settings and workflow code may name single modules.
"""
