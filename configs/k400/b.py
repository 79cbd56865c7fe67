_base_ = '../_base_/k400.py'
stream = 'b'
data = {{_base_.stream.k400.b}}
work_dir = './work_dirs/k400/b'
