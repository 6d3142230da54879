"""Runs one claimed attempt: the definition's tasks in order, their operators, their log, under the lease.

`drain.drain(lane)` is the only door. From outside in: drain > run > journal, lease, variables > plan, template.
"""
