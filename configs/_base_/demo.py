_base_ = [
    './datasets/demo.py',
    './pipelines/skeleton_3d.py',
    './models/aclnet_demo.py',
    './schedules/sgd_demo.py',
    './runtime/default.py',
]
model = dict(cls_head=dict(num_classes=14))
evaluation = dict(interval=4)
log_config = dict(interval=7)  # an epoch has 21 iterations
