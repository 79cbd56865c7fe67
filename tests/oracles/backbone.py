"""The backbone, written as its formulas say: full-length convolutions, one branch after the other, no shortcuts.

Works on a dict of tensors under the published parameter names, so that it shares nothing but names with the model.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

MS_CFG = [(3, 1), (3, 2), (3, 3), (3, 4), ('max', 3), '1x1']


def batch_norm(p, name, x, training):
    return F.batch_norm(
        x,
        None if training else p[f'{name}.running_mean'],
        None if training else p[f'{name}.running_var'],
        p[f'{name}.weight'],
        p[f'{name}.bias'],
        training,
        0.1,
        1e-5,
    )


def conv(p, name, x, **kwargs):
    return F.conv2d(x, p[f'{name}.weight'], p[f'{name}.bias'], **kwargs)


def mean_or_all(x, mode):
    """(N, K, m, T, V), averaged over T for mode 'T'."""
    return x.mean(3, keepdim=True) if mode == 'T' else x


def spatial(p, name, x, training, K=8, ctr='T', ada='T', subset_wise=False):
    N, _, T, V = x.shape
    A = p[f'{name}.A']
    act = torch.relu(batch_norm(p, f'{name}.pre.1', conv(p, f'{name}.pre.0', x), training))
    m = act.shape[1] // K
    act = act.view(N, K, m, T, V)
    D = torch.zeros(N, K, m, 1, V, V, dtype=x.dtype)
    if ctr or ada:
        q = conv(p, f'{name}.conv1', x).view(N, K, m, T, V)
        r = conv(p, f'{name}.conv2', x).view(N, K, m, T, V)
    for k in range(K if ctr else 0):
        weight = p[f'{name}.alpha'][k if subset_wise else 0]
        a, b = mean_or_all(q, ctr)[:, k], mean_or_all(r, ctr)[:, k]  # N m T V
        part = weight * torch.tanh(a[..., :, None] - b[..., None, :])
        D = D + F.one_hot(torch.tensor(k), K).view(1, K, 1, 1, 1, 1) * part[:, None]
    for k in range(K if ada else 0):
        weight = p[f'{name}.beta'][k if subset_wise else 0]
        a, b = mean_or_all(q, ada)[:, k], mean_or_all(r, ada)[:, k]
        scores = sum(a[:, c, :, :, None] * b[:, c, :, None, :] for c in range(m))  # N T V V
        part = weight * torch.softmax(scores, dim=2)
        D = D + F.one_hot(torch.tensor(k), K).view(1, K, 1, 1, 1, 1) * part[:, None, None]
    graph = A[None, :, None, None] + D
    graph = graph.expand(N, K, m, T, V, V)
    z = torch.zeros(N, K, m, T, V, dtype=x.dtype)
    for v in range(V):  # z[u] = Σ_v p[v]·graph[v, u]
        z = z + act[..., v, None] * graph[..., v, :]
    y = batch_norm(p, f'{name}.bn', conv(p, f'{name}.post', z.reshape(N, K * m, T, V)), training)
    if f'{name}.down.0.weight' in p:
        x = batch_norm(p, f'{name}.down.1', conv(p, f'{name}.down.0', x), training)
    return torch.relu(y + x), D


def temporal(p, name, x, training, stride, ms_cfg=MS_CFG):
    V = x.shape[-1]
    x = torch.cat([x, x.mean(-1, keepdim=True)], -1)
    outs = []
    for i, cfg in enumerate(ms_cfg):
        branch = f'{name}.branches.{i}'
        if cfg == '1x1':
            outs.append(conv(p, branch, x, stride=(stride, 1)))
            continue
        y = torch.relu(batch_norm(p, f'{branch}.1', conv(p, f'{branch}.0', x), training))
        if cfg[0] == 'max':
            outs.append(F.max_pool2d(y, (cfg[1], 1), (stride, 1), (cfg[1] // 2, 0)))
        else:
            kernel, dilation = cfg
            outs.append(
                conv(
                    p,
                    f'{branch}.3.conv',
                    y,
                    stride=(stride, 1),
                    dilation=(dilation, 1),
                    padding=(dilation * (kernel - 1) // 2, 0),
                )
            )
    y = torch.cat(outs, 1)
    coeff = p[f'{name}.add_coeff']
    y = torch.stack([y[..., v] + coeff[v] * y[..., V] for v in range(V)], -1)
    y = conv(p, f'{name}.transform.2', torch.relu(batch_norm(p, f'{name}.transform.0', y, training)))
    return batch_norm(p, f'{name}.bn', y, training)


def backbone(p, x, training, strides, data_bn='VC', ms_cfg=MS_CFG, **spatial_args):
    """(N, M, T, V, C) → feature (N, M, C', T', V), graph embedding (N, V·V)."""
    N, M, T, V, C = x.shape
    if data_bn == 'VC':
        flat = x.permute(0, 1, 3, 4, 2).reshape(N * M, V * C, T)  # feature v·C + c
        flat = batch_norm(p, 'data_bn', flat, training)
    elif data_bn == 'MVC':
        flat = batch_norm(p, 'data_bn', x.permute(0, 1, 3, 4, 2).reshape(N, M * V * C, T), training)
    else:
        flat = x.permute(0, 1, 3, 4, 2)
    x = flat.reshape(N * M, V, C, T).permute(0, 2, 3, 1)
    for i, stride in enumerate(strides):
        name = f'gcn.{i}'
        y, D = spatial(p, f'{name}.gcn', x, training, **spatial_args)
        y = temporal(p, f'{name}.tcn', y, training, stride, ms_cfg)
        if i == 0:
            res = 0
        elif f'{name}.residual.conv.weight' in p:
            res = batch_norm(
                p, f'{name}.residual.bn', conv(p, f'{name}.residual.conv', x, stride=(stride, 1)), training
            )
        else:
            res = x
        x = torch.relu(y + res)
    g = D.mean((1, 2, 3)).view(N, M, V * V).mean(1)
    return x.reshape(N, M, *x.shape[1:]), g
