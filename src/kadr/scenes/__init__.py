"""Drawn scenes instead of photos: a small annotated archive whose truth is known.

A scene is invented, put into words and drawn; simulated experts and a simulated crowd judge
pairs of captions and pictures. The result has the layout of the real archive.
"""

from kadr.scenes.archive import Truth, generate
from kadr.scenes.russian import caption_ru
from kadr.scenes.scene import Figure, Scene

__all__ = ["Figure", "Scene", "Truth", "caption_ru", "generate"]
