"""Exit codes, the same for every command."""

DONE, REFUSALS, NOTHING_DONE = 0, 1, 2
