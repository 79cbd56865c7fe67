"""Building from config dicts, and the sentences when that fails."""

from __future__ import annotations

import pytest

from aclnet import registry
from aclnet.errors import ACLNetError

PUBLISHED = {
    registry.RECOGNIZERS: ['RecognizerGCN'],
    registry.BACKBONES: ['GCN_Module'],
    registry.HEADS: ['SimpleHead'],
    registry.LOSSES: ['CrossEntropyLoss'],
    registry.DATASETS: ['PoseDataset', 'RepeatDataset', 'ConcatDataset'],
    registry.TRANSFORMS: [
        'PreNormalize3D', 'RandomRot', 'Spatial_Flip', 'Part_Drop', 'Flip', 'Kinetics_Transform', 'JointToBone',
        'JointToKB', 'ToMotion', 'MergeSkeFeat', 'Rename', 'GenSkeFeat', 'UniformSampleDecode', 'UniformSampleFrames',
        'UniformSample', 'PoseDecode', 'DecompressPose', 'FormatGCNInput', 'Collect', 'ToTensor'],
}  # fmt: skip


def test_names_of_published_configs_resolve():
    import aclnet.datasets
    import aclnet.models  # noqa: F401

    for room, names in PUBLISHED.items():
        assert all(room.get(name) is not None for name in names), room


@pytest.mark.parametrize(
    'cfg,words',
    [
        (dict(type='CrossEntropyLos'), "did you mean 'CrossEntropyLoss'"),
        (dict(loss_weight=1), "the key 'type'"),
        ('CrossEntropyLoss', "the key 'type'"),
        (dict(type='CrossEntropyLoss', los_weight=1), "did you mean 'loss_weight'"),
        (dict(type='InterClassAffinityLoss'), 'num_classes'),
    ],
)
def test_wrong_dicts_are_named(cfg, words):
    import aclnet.models  # noqa: F401

    with pytest.raises(ACLNetError, match=words):
        registry.build(cfg, registry.LOSSES)


def test_defaults_give_way():
    import aclnet.models  # noqa: F401

    cfg = dict(type='CrossEntropyLoss', loss_weight=3)
    assert registry.build(cfg, registry.LOSSES, dict(loss_weight=2)).loss_weight == 3
    assert cfg == dict(type='CrossEntropyLoss', loss_weight=3), 'the config must stay as it was'
