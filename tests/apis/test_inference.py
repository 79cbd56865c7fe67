"""A model for use: folded, loaded, asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aclnet.apis import inference_recognizer, init_recognizer, load_config, optimize_for_inference
from aclnet.engine.checkpoint import save_checkpoint
from aclnet.errors import ACLNetError
from aclnet.models import build_model
from tests.made import annotations, write_config


def lively(model):
    """Give every parameter and statistic a value of its own."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith('running_var'):
                value.uniform_(0.5, 2, generator=generator)
            elif value.is_floating_point():
                value.add_(torch.randn(value.shape, generator=generator) * 0.1)
    return model


@pytest.fixture
def config(tmp_path):
    return write_config(tmp_path)


def test_folding_leaves_the_scores_and_no_foldable_batch_norm(config):
    model = lively(build_model(load_config(config).model)).double().eval()
    folded = optimize_for_inference(model)
    clips = torch.randn(3, 2, 1, 9, 20, 3, dtype=torch.float64)
    np.testing.assert_allclose(
        folded(keypoint=clips, return_loss=False), model(keypoint=clips, return_loss=False), rtol=1e-9
    )
    left = [name for name, part in folded.named_modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert all(name.endswith('tcn.transform.0') for name in left), 'these follow no convolution'
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in model.backbone.gcn[0].gcn.pre), (
        'the model stays whole'
    )


def test_weights_in_another_precision(config):
    model = lively(build_model(load_config(config).model)).eval()
    half = optimize_for_inference(model, torch.bfloat16)
    kinds = {
        type(part): {p.dtype for p in part.parameters()} for part in half.modules() if next(part.children(), 0) == 0
    }
    assert kinds[torch.nn.Conv2d] == {torch.bfloat16} and kinds[torch.nn.Linear] == {torch.float32}
    assert model.backbone.gcn[0].gcn.post.weight.dtype == torch.float32
    clips = torch.randn(3, 2, 1, 9, 20, 3)
    with torch.autocast('cpu', torch.bfloat16):
        scores = half(keypoint=clips, return_loss=False)
    np.testing.assert_allclose(scores, model(keypoint=clips, return_loss=False), atol=0.05)


def test_average_clips(config):
    cfg = load_config(config)
    clips = torch.randn(2, 3, 1, 8, 20, 3)
    scores = {}
    for how in ('prob', 'score', None):
        torch.manual_seed(0)
        model = build_model({**cfg.model, 'test_cfg': dict(average_clips=how)}).eval()
        scores[how] = model(keypoint=clips, return_loss=False)
    assert scores[None].shape == (2, 3, 3)
    np.testing.assert_allclose(scores['score'], scores[None].mean(1), rtol=1e-5)
    exp = np.exp(scores[None])
    np.testing.assert_allclose(scores['prob'], (exp / exp.sum(2, keepdims=True)).mean(1), rtol=1e-5)
    with pytest.raises(ACLNetError, match="'prob', 'score' or None"):
        build_model({**cfg.model, 'test_cfg': dict(average_clips='mean')})


def test_from_checkpoint_to_answer(tmp_path, config):
    path = str(tmp_path / 'model.pth')
    source = lively(build_model(load_config(config).model))
    save_checkpoint(source, path)
    model = init_recognizer(config, path, device='cpu')
    sample = annotations()['annotations'][0]
    answer = inference_recognizer(model, dict(keypoint=sample['keypoint']), topk=2)
    assert len(answer) == 2 and answer[0][1] >= answer[1][1] and 0 < answer[0][1] <= 1
    again = inference_recognizer(model, sample, topk=5)
    assert again[:2] == answer and len(again) == 3 and sum(score for _, score in again) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ACLNetError, match='17 joints|20'):
        inference_recognizer(model, dict(keypoint=np.zeros((1, 5, 17, 3))))
    with pytest.raises(ACLNetError, match='dict'):
        inference_recognizer(model, 'clip.avi')


@pytest.mark.parametrize('training', [True, False])
def test_compiles_and_agrees(config, training):
    """torch.compile with the eager backend, since a compiler is not everywhere."""
    cfg = load_config(config)
    model = lively(build_model(cfg.model)).train(training)
    clips, label = torch.randn(2, 1, 1, 8, 20, 3), torch.tensor([0, 1])
    call = dict(label=label, return_loss=True) if training else dict(return_loss=False)
    expected = model(keypoint=clips, **call)
    compiled = torch.compile(lively(_twin(model, cfg)).train(training), backend='eager')
    compiled.load_state_dict({f'_orig_mod.{key}': value for key, value in model.state_dict().items()})
    got = compiled(keypoint=clips, **call)
    if training:
        torch.testing.assert_close(got['loss_cls'], expected['loss_cls'])
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_compiling_settles(config):
    """No new graph once the first steps are done, as epochs pass and the memory fills."""
    graphs = []

    def backend(module, inputs):
        graphs.append(module)
        return module

    model = build_model(load_config(config).model).train()
    model.compile(backend=backend)
    counts = []
    for step in range(12):
        for part in model.modules():
            if hasattr(part, 'set_epoch'):
                part.set_epoch(1 + step // 4)
        losses = model(keypoint=torch.randn(4, 1, 1, 8, 20, 3), label=torch.tensor([0, 1, 2, 0]))
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        counts.append(len(graphs))
    assert counts[0] > 0 and counts[-1] == counts[5], counts
    assert losses['loss_inter'] > 0 and losses['loss_intra'] > 0


def _twin(model, cfg):
    twin = build_model(cfg.model)
    twin.load_state_dict(model.state_dict())
    return twin


def test_head_and_backbone_must_fit(config):
    cfg = load_config(config)
    with pytest.raises(ACLNetError, match='in_channels is 99, but the backbone puts out 32'):
        build_model({**cfg.model, 'cls_head': {**cfg.model.cls_head, 'in_channels': 99}})
    with pytest.raises(ACLNetError, match="data_cfg 'ntu90'.*k400"):
        build_model({**cfg.model, 'cls_head': {**cfg.model.cls_head, 'data_cfg': 'ntu90'}})


def test_memory_sizes_of_published_configs():
    from aclnet.models.heads import AffinityHead

    for name, size in (('ntu60', 512), ('pku_mmd', 512), ('ntu120', 1024), ('finegym', 1024), ('k400', 2048)):
        head = AffinityHead(5, 8, graph_channels=9, data_cfg=name)
        assert head.intra_loss.memory_size == size and head.intra_loss.cl_fc.in_features == 9
