"""From the files of a benchmark, or one's own, to an annotation file: what ``tools/data/convert.py`` calls.

``readers`` has one reader per source; ``convert`` runs it over all recordings, in parallel and restartable.
"""

from aclnet.conversion.command import convert_by
from aclnet.conversion.convert import convert
from aclnet.conversion.options import Options
from aclnet.conversion.readers import SOURCES

__all__ = ['SOURCES', 'Options', 'convert', 'convert_by']
