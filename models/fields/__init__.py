"""Carried fields: noise that follows the lines of a picture, as planes that a network can see.

`CarriedFields` turns an image and the noise of its latents into four planes at half resolution.
One definition serves training and the engine.
"""

from models.fields.carried import PLANES, CarriedFields, Sources, noise_plane
from models.fields.marks import KINDS, MARKS

__all__ = ["KINDS", "MARKS", "PLANES", "CarriedFields", "Sources", "noise_plane"]
