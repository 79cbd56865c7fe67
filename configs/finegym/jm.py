_base_ = '../_base_/finegym.py'
stream = 'jm'
data = {{_base_.stream.finegym.jm}}
work_dir = './work_dirs/finegym/jm'
