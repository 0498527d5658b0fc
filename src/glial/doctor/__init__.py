"""What is wrong with a training: evidence, the rules that read it, and their findings."""
