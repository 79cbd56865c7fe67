_base_ = [
    './datasets/ntu120_xsub.py',
    './pipelines/skeleton_3d.py',
    './models/aclnet.py',
    './schedules/sgd_150e.py',
    './runtime/default.py',
]
model = dict(cls_head=dict(num_classes=120, intra_loss=dict(memory_size=1024)))
