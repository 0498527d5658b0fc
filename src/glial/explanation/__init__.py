"""Why a network says what it says, and whether the explanation can be believed."""
