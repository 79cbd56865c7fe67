_base_ = '../_base_/ntu60_xsub.py'
stream = 'bm'
data = {{_base_.stream.ntu.bm.spatial_flip}}
work_dir = './work_dirs/ntu60_xsub/bm'
