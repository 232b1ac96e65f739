"""What a CPU is given: OpenVINO, 8-bit integers, threads, several frames side by side."""
