_base_ = './pose.py'
data = dict(
    train=dict(ann_file='data/pku/pku_mmd.pkl', split='xsub_train'),
    val=dict(ann_file='data/pku/pku_mmd.pkl', split='xsub_val'),
    test=dict(ann_file='data/pku/pku_mmd.pkl', split='xsub_val'),
)
