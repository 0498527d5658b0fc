"""Sounds: found in folders and archives, decoded, brought to one rate and one length."""

from glial.data.sounds.columns import (
    Heard,
    SoundScan,
    choose_sound_form,
    decode_sounds,
    scan_sounds,
)
from glial.data.sounds.decoding import (
    SoundForm,
    SoundHeader,
    UnreadableSoundError,
    decode_sound,
    read_sound_header,
)
from glial.data.sounds.settings import SoundSettings

__all__ = [
    "Heard",
    "SoundForm",
    "SoundHeader",
    "SoundScan",
    "SoundSettings",
    "UnreadableSoundError",
    "choose_sound_form",
    "decode_sound",
    "decode_sounds",
    "read_sound_header",
    "scan_sounds",
]
