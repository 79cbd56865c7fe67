_base_ = '../_base_/k400.py'
stream = 'km'
data = {{_base_.stream.k400.km}}
work_dir = './work_dirs/k400/km'
