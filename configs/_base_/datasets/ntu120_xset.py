_base_ = './pose.py'
data = dict(
    train=dict(ann_file='data/nturgbd/ntu120_3danno.pkl', split='xset_train'),
    val=dict(ann_file='data/nturgbd/ntu120_3danno.pkl', split='xset_val'),
    test=dict(ann_file='data/nturgbd/ntu120_3danno.pkl', split='xset_val'),
)
