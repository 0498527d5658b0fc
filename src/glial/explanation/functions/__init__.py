"""Explanations of any function of rows, which ask it and look into nothing."""
