_base_ = [
    './datasets/pku_mmd_xsub.py',
    './pipelines/skeleton_3d.py',
    './models/aclnet.py',
    './schedules/sgd_150e.py',
    './runtime/default.py',
]
model = dict(cls_head=dict(num_classes=51, intra_loss=dict(memory_size=512)))
