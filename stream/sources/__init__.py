"""Where frames come from, a class a file; `stream.source.open_source` chooses among them."""

import cv2  # noqa: F401  before av: each brings an xcb, and only OpenCV's opens windows
