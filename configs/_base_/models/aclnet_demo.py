# ACLNet small enough to train in minutes on a laptop's CPU; 14 classes want smaller neighbourhoods than 60.
_base_ = './aclnet.py'
model = dict(
    backbone=dict(base_channels=24, num_stages=6, inflate_stages=[3, 5], down_stages=[3, 5]),
    cls_head=dict(
        in_channels=96,
        inter_loss=dict(start_epoch=3, num_neighbors=3, min_overlap=1, temperatures=((3, 0.1), (6, 0.5), (None, 1.0))),
        intra_loss=dict(memory_size=128),
    ),
)
