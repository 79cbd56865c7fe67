_base_ = [
    './datasets/finegym.py',
    './pipelines/skeleton_2d.py',
    './models/aclnet_coco.py',
    './schedules/sgd_150e.py',
    './runtime/default.py',
]
model = dict(cls_head=dict(num_classes=99, intra_loss=dict(memory_size=1024)))
evaluation = dict(metrics=['top_k_accuracy', 'mean_class_accuracy'])
