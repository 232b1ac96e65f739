"""Where frames go, a class a file; `stream.sink.open_sink` chooses among them."""
