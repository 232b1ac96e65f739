"""The teachers: what paints a photograph in each look, so that the student can learn it.

Each look is a pure function of a photograph and of the carried fields of its frame.
"""

from models.training.teachers.painters import PAINTERS, paint
from models.training.teachers.sketch import Sketch, frame_of, latent_noise

__all__ = ["PAINTERS", "Sketch", "frame_of", "latent_noise", "paint"]
