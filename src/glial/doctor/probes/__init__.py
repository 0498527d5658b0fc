"""Tests on copies of a training's state, which leave the training as it was."""
