"""What moved between two sources, and in what a run says of them."""
