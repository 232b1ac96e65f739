"""Acceleration on NVIDIA GPUs: whole frames as CUDA graphs, compiled kernels, frames in flight."""
