"""Fast paths: module in, module out. `load_engine` puts them into an engine; nothing else does.

    choice.py    which one an engine is given
    cpu.py       what a CPU is given: OpenVINO, or torch in bfloat16 and channels_last
    openvino.py  a torch module as a compiled OpenVINO model, static shapes, one a size
    quantization.py  its convolutions in 8-bit integers; trial.py: where that is better
    relay.py     several frames at a time through it, one thread each, for files
    kept.py      the same on disk, for a quick start of the bundled model
    shelf.py     the cache folder, and what is whole in it or not there; seals.py: digests of it
    threads.py   how many threads a machine has to give
    rewrites.py  exact rewrites of a UNet: less work, the same numbers
    predictor.py the halves of such a UNet at work, whatever runs them
    cuda.py      what a GPU is given: frames by one launch each, kernels compiled beside
    frame.py     a whole frame, bytes to bytes, as one function over fixed buffers
    graphs.py    the same as CUDA graphs, by size and number of steps
    ring.py      a few frames in flight; device.py: streams, events and capture of a GPU
    attention.py which attention kernel is quickest for each shape
    shortcut.py  float16 sums on GeForce, where the picture bears it
    compiled.py  when networks are compiled, and the one thread that waits for it
    blueprint.py what has to be known for it; build.py: the process; artifacts.py: on disk

Every path is held against the plain one by tests/test_acceleration*.py. Which one runs, and why a
faster one does not, is a sentence in `Engine.notes`.
"""

from typing import Literal

Acceleration = Literal["auto", "off", "openvino", "eager"]
"""What `load_engine` takes: the fastest that works here; the plain path; one by name."""

CompileMode = Literal["off", "auto", "now"]
"""When the kernels of a GPU are compiled: never; beside, once it pays; before the first frame."""
