"""A file job: every frame once and in order, from a source through the stylizer to a sink."""
