"""What one frame knows of those before it, so that paint stays where it was.

    data ─► shots   is this a new shot? then nothing of the old one may show
         ─► gate    which cells look as they did when the history was painted
         ─► blend   how much of the history each cell keeps; Temporal, the state of one stream

All of it runs on the host, on uint8 pictures of the model's size, but for the last step: one
mixture of latents. It starts no thread. Called by `stream.stylizer`.
"""

from stream.temporal.blend import Decision, Temporal

__all__ = ["Decision", "Temporal"]
