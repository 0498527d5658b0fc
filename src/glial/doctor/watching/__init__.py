"""What happens in a training, turned into evidence: hooks, a function mode, measurements."""
