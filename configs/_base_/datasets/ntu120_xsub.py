_base_ = './pose.py'
data = dict(
    train=dict(ann_file='data/nturgbd/ntu120_3danno.pkl', split='xsub_train'),
    val=dict(ann_file='data/nturgbd/ntu120_3danno.pkl', split='xsub_val'),
    test=dict(ann_file='data/nturgbd/ntu120_3danno.pkl', split='xsub_val'),
)
