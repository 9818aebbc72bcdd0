"""The requests that a Language resource takes in a minute, shared by all projects and all workers.

`settings` says how many; `turns` who stands in the resource's queue, and where; `window` counts;
`ledger` lets all workers count together; `limiter` stands in front of each request, which `policy`
brings to it; `throttling` holds those of all resources.
"""
