"""Runs of networks that learn from rows alone: trained, judged, and made to make up rows."""
