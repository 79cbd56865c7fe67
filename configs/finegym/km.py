_base_ = '../_base_/finegym.py'
stream = 'km'
data = {{_base_.stream.finegym.km}}
work_dir = './work_dirs/finegym/km'
