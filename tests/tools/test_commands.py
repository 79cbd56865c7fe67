"""The commands as a user types them: real processes, through the shell."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from tests.made import write_annotations, write_config
from tests.run import checkpoint, log_lines, shell


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A training by two processes, of streams j and b, tested and ready to fuse."""
    folder = tmp_path_factory.mktemp('trained')
    write_annotations(folder / 'made.pkl', train=23, val=11)  # neither divides by 2 ranks
    for stream in ('j', 'b'):
        extra = (
            f'\nfor subset in (train_pipeline, val_pipeline, test_pipeline):\n    for step in subset:\n        if '
            f"step['type'] == 'GenSkeFeat':\n            step['feats'] = ['{stream}']\ndel subset, step\n"
        )
        config = write_config(
            folder, f'{stream}.py', extra, work_dir=str(folder / 'work_dirs' / 'made' / stream), workers=1
        )
        done = shell('bash', 'tools/dist_train.sh', config, 2, '--validate', '--test-last', '--test-best', '--seed', 1)
        assert done.returncode == 0, done.stderr[-3000:]
        assert 'Traceback' not in done.stderr and 'Warning' not in done.stderr, done.stderr
    return folder


def scores(path):
    with open(path, 'rb') as stream:
        return np.stack(pickle.load(stream))


def test_two_processes_train_what_one_would(trained, tmp_path):
    done = shell(
        'python',
        'tools/train.py',
        trained / 'j.py',
        '--seed',
        1,
        '--work-dir',
        tmp_path,
        '--cfg-options',
        'data.videos_per_gpu=8',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one = checkpoint(tmp_path / 'epoch_2.pth')['state_dict']
    two = checkpoint(trained / 'work_dirs' / 'made' / 'j' / 'epoch_2.pth')['state_dict']
    assert torch.equal(one['cls_head.intra_loss.memory_label'], two['cls_head.intra_loss.memory_label']), (
        'order of samples'
    )
    assert one['cls_head.intra_loss.memory_count'] == two['cls_head.intra_loss.memory_count'] == 2 * 23


def test_two_processes_score_every_sample_once_in_order(trained, tmp_path):
    work = trained / 'work_dirs' / 'made' / 'j'
    done = shell(
        'bash',
        'tools/dist_test.sh',
        trained / 'j.py',
        work / 'latest.pth',
        2,
        '--out',
        tmp_path / 'two.pkl',
        '--eval',
        'top_k_accuracy',
        'mean_class_accuracy',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'top1_acc' in done.stdout and 'mean_class_accuracy' in done.stdout
    alone = shell('python', 'tools/test.py', trained / 'j.py', '-C', work / 'latest.pth', '--out', tmp_path / 'one.pkl')
    assert alone.returncode == 0, alone.stderr[-3000:]
    np.testing.assert_allclose(scores(tmp_path / 'two.pkl'), scores(tmp_path / 'one.pkl'), atol=1e-6)
    np.testing.assert_allclose(scores(tmp_path / 'two.pkl'), scores(work / 'last_pred.pkl'), atol=1e-6)
    side = json.loads((tmp_path / 'two.pkl.meta.json').read_text())
    assert side['identifiers'] == [f'sample{i:03d}' for i in range(23, 34)] and side['labels'] == [
        i % 3 for i in range(23, 34)
    ]


def test_two_processes_start_the_terms_and_validate(trained):
    work = trained / 'work_dirs' / 'made' / 'j'
    assert log_lines(work)[0]['loss_inter'] == 0 and log_lines(work)[-1]['loss_inter'] > 0
    assert len(log_lines(work, 'val')) == 2


def test_validation_losses_over_ranks_of_unequal_shares(tmp_path):
    write_annotations(tmp_path / 'made.pkl', train=8, val=9)
    config = write_config(tmp_path, extra="workflow = [('train', 1), ('val', 1)]\n")
    done = shell('bash', 'tools/dist_train.sh', config, 2, '--seed', 1, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(log_lines(tmp_path / 'work', 'val')) == 2


def test_test_defaults_to_the_latest_checkpoint_of_the_work_dir(trained):
    done = shell('python', 'tools/test.py', trained / 'b.py')
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(scores(trained / 'work_dirs' / 'made' / 'b' / 'result.pkl')) == 11


@pytest.mark.parametrize('suffix', ['json', 'yaml'])
def test_score_files_in_other_formats(trained, tmp_path, suffix):
    out = tmp_path / f'scores.{suffix}'
    done = shell(
        'python', 'tools/test.py', trained / 'j.py', '--out', out, '--average-clips', 'score', '--local_rank', 0
    )
    assert done.returncode == 0, done.stderr[-3000:]
    if suffix == 'json':
        assert np.shape(json.loads(out.read_text())) == (11, 3)


def test_both_streams_fuse(trained):
    done = shell('python', 'tools/ensemble.py', 'made', '--work-dirs', trained / 'work_dirs')
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'j' in done.stdout and 'b' in done.stdout and 'top1' in done.stdout


@pytest.mark.parametrize(
    'words,code,says',
    [
        (['bash', 'tools/dist_train.sh'], 2, 'usage: bash tools/dist_train.sh CONFIG GPUS'),
        (['bash', 'tools/dist_test.sh', 'x.py'], 2, 'usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS'),
        (['bash', 'tools/dist_train.sh', 'x.py', 'two'], 2, "got 'two'"),
        (['bash', 'tools/dist_train.sh', 'x.py', '1'], 2, 'config x.py does not exist'),
        (['bash', 'tools/dist_train.sh', 'x.py', '2'], 2, 'config x.py does not exist'),
        (
            ['bash', 'tools/dist_test.sh', 'configs/utd_mhad/j.py', 'none.pth', '1', '--out', 'a.txt'],
            2,
            '.json or .yaml',
        ),
        (['python', 'tools/train.py', 'configs/nw_ucla/j.py', '--work-dir', '{tmp}'], 2, 'nw_ucla.pkl does not exist'),
        (['python', 'tools/train.py', 'configs/utd_mhad/j.py', '--launcher', 'mpi'], 2, "invalid choice: 'mpi'"),
    ],
)
def test_a_wrong_call_ends_in_a_sentence(tmp_path, words, code, says):
    done = shell(*(word.format(tmp=tmp_path) for word in words))
    assert done.returncode == code, done.stderr
    assert says in done.stderr and 'Traceback' not in done.stderr
