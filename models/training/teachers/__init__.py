"""The teachers: what paints a photograph in each look, so that the student can learn it."""
