"""Made-up recordings in the layout of NTU RGB+D: a body, what it does, and the sensor that watches it."""

from aclnet.datasets.demo.actions import ACTIONS, class_names
from aclnet.datasets.demo.make import SIZES, DemoSize, make_demo

__all__ = ['ACTIONS', 'SIZES', 'DemoSize', 'class_names', 'make_demo']
