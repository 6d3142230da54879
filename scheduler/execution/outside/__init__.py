"""The way of a task out of this machine: which places it may reach, and the child that goes there.

The child (`child.py`) runs `exchange` or `delivery`; both connect through `connecting`, which holds the rules of
`places`. Nothing here imports more of Hindcast than this folder.
"""
