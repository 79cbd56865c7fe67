"""Pictures of what was recorded, learned and confused. Needs matplotlib, the extra ``viz``."""

from aclnet.visualization.canvas import save_figure
from aclnet.visualization.confusion import draw_confusion
from aclnet.visualization.skeletons import draw_clips
from aclnet.visualization.superclasses import draw_superclasses

__all__ = ['draw_clips', 'draw_confusion', 'draw_superclasses', 'save_figure']
