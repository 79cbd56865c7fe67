_base_ = './pose.py'
data = dict(
    workers_per_gpu=0,  # clips are short: fetching them costs less than handing them over
    train=dict(ann_file='data/demo/demo.pkl', split='xsub_train'),
    val=dict(ann_file='data/demo/demo.pkl', split='xsub_val'),
    test=dict(ann_file='data/demo/demo.pkl', split='xsub_val'),
)
