_base_ = [
    './datasets/k400.py',
    './pipelines/skeleton_2d.py',
    './models/aclnet_coco.py',
    './schedules/sgd_150e.py',
    './runtime/default.py',
]
model = dict(cls_head=dict(num_classes=400, intra_loss=dict(memory_size=2048)))
optimizer = dict(lr=0.1)
auto_scale_lr = dict(base_batch_size=64)
evaluation = dict(metrics=['top_k_accuracy', 'mean_class_accuracy'])
