"""How good a run is, how sure, how fair, and where it fails."""
