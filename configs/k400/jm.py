_base_ = '../_base_/k400.py'
stream = 'jm'
data = {{_base_.stream.k400.jm}}
work_dir = './work_dirs/k400/jm'
