_base_ = '../_base_/ntu120_xsub.py'
stream = 'km'
data = {{_base_.stream.ntu.km.part_drop}}
work_dir = './work_dirs/ntu120_xsub/km'
