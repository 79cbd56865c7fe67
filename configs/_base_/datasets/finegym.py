_base_ = './pose.py'
data = dict(
    train=dict(ann_file='data/finegym/gym_hrnet.pkl', split='train'),
    val=dict(ann_file='data/finegym/gym_hrnet.pkl', split='val'),
    test=dict(ann_file='data/finegym/gym_hrnet.pkl', split='val'),
)
