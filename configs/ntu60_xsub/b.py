_base_ = '../_base_/ntu60_xsub.py'
stream = 'b'
data = {{_base_.stream.ntu.b.spatial_flip}}
work_dir = './work_dirs/ntu60_xsub/b'
