_base_ = '../_base_/ntu60_xsub.py'
stream = 'k'
data = {{_base_.stream.ntu.k.spatial_flip}}
work_dir = './work_dirs/ntu60_xsub/k'
