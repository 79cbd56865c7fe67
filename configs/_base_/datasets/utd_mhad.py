_base_ = './pose.py'
data = dict(
    workers_per_gpu=2,
    train=dict(ann_file='data/utd_mhad/utd_mhad.pkl', split='xsub_train'),
    val=dict(ann_file='data/utd_mhad/utd_mhad.pkl', split='xsub_val'),
    test=dict(ann_file='data/utd_mhad/utd_mhad.pkl', split='xsub_val'),
)
