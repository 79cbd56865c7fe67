data = dict(
    videos_per_gpu=16,
    workers_per_gpu=4,
    test_dataloader=dict(videos_per_gpu=1),  # a test sample is ten clips
    train=dict(type='PoseDataset'),
    val=dict(type='PoseDataset', test_mode=True),
    test=dict(type='PoseDataset', test_mode=True),
)
