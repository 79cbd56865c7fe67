"""What is publicly known of the benchmarks: their classes, samples and splits."""

from aclnet.benchmarks.names import class_names, names_for
from aclnet.benchmarks.table import BENCHMARKS, Benchmark, Protocol, get, of_file, recognise

__all__ = ['BENCHMARKS', 'Benchmark', 'Protocol', 'class_names', 'get', 'names_for', 'of_file', 'recognise']
