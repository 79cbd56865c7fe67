_base_ = [
    './datasets/utd_mhad.py',
    './pipelines/skeleton_3d.py',
    './models/aclnet_small.py',
    './schedules/sgd_50e.py',
    './runtime/default.py',
]
model = dict(cls_head=dict(num_classes=27))
log_config = dict(interval=10)  # an epoch has 27 iterations
