_base_ = '../_base_/ntu120_xset.py'
stream = 'km'
data = {{_base_.stream.ntu.km.spatial_flip}}
work_dir = './work_dirs/ntu120_xset/km'
