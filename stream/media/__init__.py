"""What reading and writing media files have in common: colour, orientation, time stamps, copying.

Called by `stream.sources` and `stream.sinks` only.
"""

import cv2  # noqa: F401  before av: each brings an xcb, and only OpenCV's opens windows
