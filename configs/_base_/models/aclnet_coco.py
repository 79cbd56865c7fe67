# ACLNet for 2D poses: COCO's 17 joints and the three that KineticsTransform adds.
_base_ = './aclnet.py'
model = dict(backbone=dict(graph_cfg=dict(layout='coco_new')))
