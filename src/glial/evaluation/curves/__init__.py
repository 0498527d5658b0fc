"""What more rows and other settings are worth: curves of learning, and bias and variance."""
