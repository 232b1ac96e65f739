"""What an NVIDIA GPU is given: whole frames as CUDA graphs, compiled beside, several in flight."""
