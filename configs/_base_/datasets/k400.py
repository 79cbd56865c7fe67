_base_ = './pose.py'
data = dict(
    videos_per_gpu=64,
    workers_per_gpu=16,
    train=dict(
        ann_file='data/k400/k400_hrnet.pkl',
        split='train',
        box_thr=0.5,
        valid_ratio=0.0,
        memcached=True,
        mc_cfg=('localhost', 22077),
    ),
    val=dict(
        ann_file='data/k400/k400_hrnet.pkl', split='val', box_thr=0.5, memcached=True, mc_cfg=('localhost', 22077)
    ),
    test=dict(
        ann_file='data/k400/k400_hrnet.pkl', split='val', box_thr=0.5, memcached=True, mc_cfg=('localhost', 22077)
    ),
)
