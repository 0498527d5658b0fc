"""Local servers: the board over all runs, and the playground."""
