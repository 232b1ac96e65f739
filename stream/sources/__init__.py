"""Where frames come from, a class a file; `stream.source.open_source` chooses among them."""
