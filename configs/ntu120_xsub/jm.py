_base_ = '../_base_/ntu120_xsub.py'
stream = 'jm'
data = {{_base_.stream.ntu.jm.spatial_flip}}
work_dir = './work_dirs/ntu120_xsub/jm'
