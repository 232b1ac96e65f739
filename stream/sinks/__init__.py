"""Where frames go, a class a file; `stream.sink.open_sink` chooses among them."""

import cv2  # noqa: F401  before av: each brings an xcb, and only OpenCV's opens windows
