_base_ = '../_base_/ntu120_xset.py'
stream = 'b'
data = {{_base_.stream.ntu.b.spatial_flip}}
work_dir = './work_dirs/ntu120_xset/b'
