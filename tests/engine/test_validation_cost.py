"""What validation does beside its forward passes: nothing that grows with the number of epochs."""

from __future__ import annotations

import multiprocessing.process
import os

import pytest

from aclnet.engine.hooks import evaluation_hook
from tests.made import write_config
from tests.run import log_lines, tool


@pytest.mark.parametrize('workers', [0, 1])
def test_no_process_starts_and_no_file_is_written_in_a_later_validation(tmp_path, monkeypatch, workers):
    started, written = [], []
    start, score = multiprocessing.process.BaseProcess.start, evaluation_hook.collect_scores

    def counted(process):
        started.append(process)
        start(process)

    def watched(*args):
        before = files()
        scores = score(*args)
        written.append(files() != before)
        return scores

    def files():
        return {(path, os.stat(path).st_mtime_ns) for path in tmp_path.rglob('*')}

    monkeypatch.setattr(multiprocessing.process.BaseProcess, 'start', counted)
    monkeypatch.setattr(evaluation_hook, 'collect_scores', watched)
    config = write_config(tmp_path, workers=workers, epochs=3)
    tool('train', config, '--validate', '--seed', 0)
    assert len(log_lines(tmp_path / 'work', 'val')) == len(written) == 3
    assert len(started) == 2 * workers, 'those of training and of validation live on between epochs'
    assert not any(written), 'scores go from hand to hand'
