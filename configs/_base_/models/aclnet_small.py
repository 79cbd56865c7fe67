# ACLNet at half its width for the small data sets of 20 Kinect v1 joints, trained for 50 epochs.
_base_ = './aclnet.py'
model = dict(
    backbone=dict(base_channels=48, graph_cfg=dict(layout='kinect20')),
    cls_head=dict(in_channels=192, inter_loss=dict(start_epoch=10), intra_loss=dict(memory_size=1024)),
)
