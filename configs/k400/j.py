_base_ = '../_base_/k400.py'
stream = 'j'
data = {{_base_.stream.k400.j}}
work_dir = './work_dirs/k400/j'
