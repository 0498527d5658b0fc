"""Where a run fails: the surest mistakes, and the weakest slices."""
