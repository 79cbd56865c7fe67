# lr is that of 16 samples per update; --autoscale-lr scales it to those of all processes
optimizer = dict(type='SGD', lr=0.025, momentum=0.9, weight_decay=0.0005, nesterov=True)
auto_scale_lr = dict(base_batch_size=16)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='CosineAnnealing', min_lr=0, by_epoch=False)
total_epochs = 150
