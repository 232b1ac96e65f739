"""Acceleration on CPUs: OpenVINO, 8-bit integers, threads, several frames side by side."""
