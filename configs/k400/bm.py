_base_ = '../_base_/k400.py'
stream = 'bm'
data = {{_base_.stream.k400.bm}}
work_dir = './work_dirs/k400/bm'
