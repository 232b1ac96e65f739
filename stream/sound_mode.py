"""SoundMode: what becomes of the sound of a file's input. Imports nothing heavy."""

from typing import Literal, get_args

SoundMode = Literal["copy", "encode", "none"]
"""As it is where the output can hold it (else encoded), encoded in any case, or left out."""

SOUND_MODES: tuple[SoundMode, ...] = get_args(SoundMode)
