_base_ = '../_base_/finegym.py'
stream = 'b'
data = {{_base_.stream.finegym.b}}
work_dir = './work_dirs/finegym/b'
