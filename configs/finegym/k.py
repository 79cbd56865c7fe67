_base_ = '../_base_/finegym.py'
stream = 'k'
data = {{_base_.stream.finegym.k}}
work_dir = './work_dirs/finegym/k'
