"""What is wrong with a data set: all of it, not the first fault only. This is what tools/data/check.py does."""

from aclnet.datasets.checks.findings import Finding, Report
from aclnet.datasets.checks.run import CHECKS, check_data

__all__ = ['CHECKS', 'Finding', 'Report', 'check_data']
