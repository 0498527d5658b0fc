"""Every metric as a function of the weights of rows, and its interval."""
