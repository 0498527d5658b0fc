"""How a run treats groups of rows."""
