"""Networks that learn what is normal, and tell what is not."""
