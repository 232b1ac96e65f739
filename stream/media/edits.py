"""Edit lists: the table of an MP4 that says which stretches of a stream are shown.

FFmpeg obeys them: it repeats and reorders packets, marks those that only the decoder may see, and
dates all by the edits. Pictures and packets of sound are shown whole, so that at the seam of two
edits some of them overlap.
"""

from itertools import dropwhile

from av.stream import Stream


def is_cut(stream: Stream) -> bool:
    """Whether an edit list leaves out something between the first and the last packet."""
    hidden = [entry.is_discard for entry in stream.index_entries]
    kept = list(dropwhile(bool, hidden))
    kept = list(dropwhile(bool, reversed(kept)))
    return any(kept)
