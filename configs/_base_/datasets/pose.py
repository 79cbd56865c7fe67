data = dict(
    videos_per_gpu=16,
    workers_per_gpu=4,
    train=dict(type='PoseDataset'),
    val=dict(type='PoseDataset', test_mode=True),
    test=dict(type='PoseDataset', test_mode=True),
)
