_base_ = '../_base_/ntu120_xset.py'
stream = 'k'
data = {{_base_.stream.ntu.k.spatial_flip}}
work_dir = './work_dirs/ntu120_xset/k'
