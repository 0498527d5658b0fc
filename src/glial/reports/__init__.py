"""Pages over runs: what was trained, how good it is, what is wrong, and what to do."""
