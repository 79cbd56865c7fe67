_base_ = './pose.py'
data = dict(
    workers_per_gpu=2,
    train=dict(ann_file='data/nw_ucla/nw_ucla.pkl', split='xview_train'),
    val=dict(ann_file='data/nw_ucla/nw_ucla.pkl', split='xview_val'),
    test=dict(ann_file='data/nw_ucla/nw_ucla.pkl', split='xview_val'),
)
