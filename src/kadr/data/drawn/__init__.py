"""Drawn scenes instead of photos: a small annotated archive whose truth is known.

A scene is invented, put into words and drawn; simulated experts and a simulated crowd judge
pairs of captions and pictures. The result has the layout of the real archive.
"""

from kadr.data.drawn.archive import Truth, generate
from kadr.data.drawn.russian import caption_ru
from kadr.data.drawn.scene import Figure, Scene

__all__ = ["Figure", "Scene", "Truth", "caption_ru", "generate"]
