"""Whether probabilities are to be believed: calibration, and risk where the unsure is refused."""
