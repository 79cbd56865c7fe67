_base_ = '../_base_/ntu120_xset.py'
stream = 'jm'
data = {{_base_.stream.ntu.jm.plain}}
work_dir = './work_dirs/ntu120_xset/jm'
