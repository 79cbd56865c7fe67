_base_ = '../_base_/ntu120_xsub.py'
stream = 'bm'
data = {{_base_.stream.ntu.bm.spatial_flip}}
work_dir = './work_dirs/ntu120_xsub/bm'
