_base_ = '../_base_/finegym.py'
stream = 'j'
data = {{_base_.stream.finegym.j}}
work_dir = './work_dirs/finegym/j'
