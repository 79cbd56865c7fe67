# ACLNet as published, for 25 joints; num_classes, the joint layout and memory_size are each data set's own.
model = dict(
    type='SkeletonRecognizer',
    backbone=dict(
        type='DynamicGCN',
        in_channels=3,
        base_channels=96,
        num_stages=10,
        inflate_stages=[5, 8],
        down_stages=[5, 8],
        gcn_ratio=0.125,
        gcn_ctr='T',
        gcn_ada='T',
        tcn_ms_cfg=[(3, 1), (3, 2), (3, 3), (3, 4), ('max', 3), '1x1'],
        graph_cfg=dict(layout='nturgb+d', mode='random', num_filter=8, init_off=0.04, init_std=0.02)),
    cls_head=dict(
        type='AffinityHead',
        num_classes=60,
        in_channels=384,
        loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
        inter_loss=dict(
            type='InterClassAffinityLoss',
            loss_weight=0.1,
            embed_channels=256,
            momentum=0.9,
            start_epoch=30,
            num_neighbors=10,
            min_overlap=4,
            temperatures=((10, 0.1), (20, 0.5), (None, 1.0)),
            sync_memory=True),
        intra_loss=dict(
            type='IntraClassMarginLoss',
            loss_weight=0.1,
            memory_size=512,
            embed_channels=256,
            temperature=0.1,
            margin=0.1,
            sync_memory=True)),
    test_cfg=dict(average_clips='prob'))
