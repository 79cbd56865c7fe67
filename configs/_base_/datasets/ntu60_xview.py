_base_ = './pose.py'
data = dict(
    train=dict(ann_file='data/nturgbd/ntu60_3danno.pkl', split='xview_train'),
    val=dict(ann_file='data/nturgbd/ntu60_3danno.pkl', split='xview_val'),
    test=dict(ann_file='data/nturgbd/ntu60_3danno.pkl', split='xview_val'),
)
