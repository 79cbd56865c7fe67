_base_ = '../_base_/ntu60_xsub.py'
stream = 'km'
data = {{_base_.stream.ntu.km.spatial_flip}}
work_dir = './work_dirs/ntu60_xsub/km'
