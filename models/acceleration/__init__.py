"""Fast paths: faster replacements for the networks of an engine. Only `load_engine` installs them.

    choice.py             which one an engine is given
    rewrites.py           exact rewrites of a UNet: less work, the same numbers
    split_predictor.py    the halves of such a UNet at work, whatever runs them
    attention_kernels.py  which attention kernel is quickest for each shape
    speed_trial.py        whether a quicker way paints the same picture, and is quicker here
    cpu/                  OpenVINO, 8-bit integers, threads, several frames side by side
    cuda/                 one graph launch a frame, frames in flight, kernels compiled beside
    cache/                the cache folder of this user, and digests of what is in it

Every path is held against the plain one by tests/models/acceleration/. Which one runs, and why a
faster one does not, is a sentence in `Engine.notes`.
"""

from typing import Literal

Acceleration = Literal["auto", "off", "openvino", "eager"]
"""What `load_engine` takes: the fastest that works here; the plain path; one by name."""

CompileMode = Literal["off", "auto", "now"]
"""When the kernels of a GPU are compiled: never; beside, once it pays; before the first frame."""
