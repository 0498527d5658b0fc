"""Other people's tools on the bench's scripts, each used as its documentation says."""
