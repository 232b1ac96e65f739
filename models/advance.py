"""Advance: what the host tells a stream's memory with each frame. Imports nothing heavy.

They go up as one row of floats beside the frame, so that a change of any of them is no new capture.
"""

from typing import NamedTuple


class Advance(NamedTuple):
    """One step in the time of a stream.

    Attributes:
        kept: The history's weight where something moved, exp(-dt / tau), 0 to 1.
        dt_s: Since the frame before, in seconds, above 0.
        starts: 1 where nothing of what came before may be used.
        counts: 0 for a frame that fills up a batch: it is painted, and not remembered.
        settle_s: How long a cell that changed is painted on before it is copied.
        cut_difference: Content difference, 0 to 255, above which a frame starts a new shot.
        agree_levels: Levels by which old and new paint may differ before the old is dropped.
        most_contrast: Share of the contrast that is given back at most in a frame.
        repaints: 1 where all of the frame counts as changed: it is painted a little otherwise.
    """

    kept: float
    dt_s: float
    starts: float = 0.0
    counts: float = 1.0
    settle_s: float = 0.25
    cut_difference: float = 27.0
    agree_levels: float = 8.5
    most_contrast: float = 0.5
    repaints: float = 0.0
