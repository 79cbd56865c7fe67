_base_ = '../_base_/k400.py'
stream = 'k'
data = {{_base_.stream.k400.k}}
work_dir = './work_dirs/k400/k'
