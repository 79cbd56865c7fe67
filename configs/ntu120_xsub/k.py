_base_ = '../_base_/ntu120_xsub.py'
stream = 'k'
data = {{_base_.stream.ntu.k.part_drop}}
work_dir = './work_dirs/ntu120_xsub/k'
