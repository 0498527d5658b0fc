"""The doctor's fault bench: healthy programs, ways to break them, and what the doctor says.

``programs/`` holds plain training scripts, ``mutations/`` plants one fault in a script,
``catalogue`` says which programs there are and which operator fits which.
"""
