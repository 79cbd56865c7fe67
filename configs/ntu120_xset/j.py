_base_ = '../_base_/ntu120_xset.py'
stream = 'j'
data = {{_base_.stream.ntu.j.plain}}
work_dir = './work_dirs/ntu120_xset/j'
