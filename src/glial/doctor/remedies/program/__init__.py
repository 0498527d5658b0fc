"""A program that was watched: its text, what of it was seen, and edits of it."""
