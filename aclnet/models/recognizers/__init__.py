"""Recognizers: from a batch of clips to losses or scores."""

from aclnet.models.recognizers.skeleton_recognizer import SkeletonRecognizer

__all__ = ['SkeletonRecognizer']
