_base_ = [
    './datasets/nw_ucla.py',
    './pipelines/skeleton_3d.py',
    './models/aclnet_small.py',
    './schedules/sgd_50e.py',
    './runtime/default.py',
]
model = dict(cls_head=dict(num_classes=10))
log_config = dict(interval=10)
