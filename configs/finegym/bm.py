_base_ = '../_base_/finegym.py'
stream = 'bm'
data = {{_base_.stream.finegym.bm}}
work_dir = './work_dirs/finegym/bm'
