"""Learn a look from a frame and what somebody painted over it; for `allaprima learn`.

pairs ──► windows ──► the model with additions ──► losses.py ──► additions ──► a LoRA file
"""
