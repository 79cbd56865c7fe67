"""The largest sizes that data and configs may ask for: far above any data set, far below what memory can hold.

What is above is a mistake or a damaged file, and is said before memory is taken for it.
"""

from __future__ import annotations

__all__ = ['MAX_CLASSES', 'MAX_CLIPS', 'MAX_FRAMES', 'MAX_PERSONS', 'MAX_PIXELS', 'MAX_SAMPLES', 'MAX_VALUES']

MAX_FRAMES = 1_000_000  # of a sample: nine hours at 30 a second; clips of NTU have up to 300, videos of PKU-MMD 7,000
MAX_PERSONS = 1_000  # of a sample; NTU has 2, Kinetics 10
MAX_PIXELS = 1_000_000  # of an image's side
MAX_CLASSES = 10_000  # NTU has 120, Kinetics 400; the inter-class term keeps classes × classes counts, here 800 MB
MAX_CLIPS = 1_000  # of a sample; the published tests take 10
MAX_SAMPLES = 100_000_000  # of a data set with its repeats; Kinetics has 260,000
MAX_VALUES = 2**28  # numbers of one sample's array, 1 GiB in float32; a test sample of NTU has 150,000
