_base_ = '../_base_/ntu120_xsub.py'
stream = 'j'
data = {{_base_.stream.ntu.j.spatial_flip}}
work_dir = './work_dirs/ntu120_xsub/j'
